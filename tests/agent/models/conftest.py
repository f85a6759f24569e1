"""The default chat model, loaded once for all tests that are marked `real`."""

from pathlib import Path

import platformdirs
import pytest

from agent.models.llama_engine import Engine, load_engine
from agent.weights.store import WeightStore


@pytest.fixture(scope="session")
def qwen_path() -> Path:
    folder = WeightStore(platformdirs.user_cache_path("storehand") / "weights").ensure("qwen2.5-coder-1.5b")
    return next(folder.glob("*.gguf"))


@pytest.fixture(scope="session")
def states_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("states")


@pytest.fixture(scope="session")
def engine(qwen_path: Path, states_dir: Path) -> Engine:
    # One thread: two that wait for each other crawl on a machine whose cores are busy with something else.
    return load_engine(qwen_path, context_tokens_per_conversation=2048, conversations=3, threads=1, cache_dir=states_dir)
