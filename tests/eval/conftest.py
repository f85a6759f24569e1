"""The demo shop as it is on the day that it describes, with the real agent, for plays of scenarios."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from agent.resources import DEMO_SOURCE, Opened
from eval.conversation import Place, beside
from eval.playing import Moved
from tools.shop.importers import import_shop


@pytest.fixture(scope="session")
def clock() -> Moved:
    return Moved(datetime.now(UTC))


@pytest.fixture(scope="session")
def place(demo: Opened, clock: Moved, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("imported") / "demo"
    import_shop("jsonl", DEMO_SOURCE, folder)
    with beside(demo, folder, clock) as made:
        yield made
