"""What all tests share: the prepared demo shop, copied, with the real encoders and the real default model, loaded once."""

import os

# Before torch, llama.cpp or langgraph is imported; as the `storehand` command does.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")

import shutil
from collections.abc import Iterator

import pytest
from rich.console import Console

from agent.resources import Opened, open_agent, prepare, shop_folder
from agent.settings import Settings, load_settings

QUIET = Console(stderr=True, quiet=True)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The default settings with a data folder of their own; the demo shop is copied, so that a running one is not disturbed."""
    default = load_settings()
    prepare(default, QUIET)
    prepared = shop_folder(default, "demo", QUIET)
    data_dir = tmp_path_factory.mktemp("data")
    shutil.copytree(prepared, data_dir / "shops" / "demo", ignore=shutil.ignore_patterns("*.lock"))
    return load_settings(data_dir=data_dir)


@pytest.fixture(scope="session")
def demo(settings: Settings) -> Iterator[Opened]:
    """The demo shop with its agent on the real default models."""
    with open_agent(settings, "demo", QUIET) as opened:
        yield opened
