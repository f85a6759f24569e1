"""A shop for each test of what is agreed to: imported once, copied for each."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from demo_copy import DemoCopy

from agent.resources import DEMO_SOURCE, Opened
from tools.shop.importers import import_shop


@pytest.fixture(scope="session")
def imported_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo shop as it is on its first day."""
    folder = tmp_path_factory.mktemp("imported") / "demo"
    import_shop("jsonl", DEMO_SOURCE, folder, today=date.today())  # noqa: DTZ011
    return folder


@pytest.fixture
def copy(demo: Opened, imported_demo: Path, tmp_path: Path) -> Iterator[DemoCopy]:
    """An untouched copy of the demo shop."""
    made = DemoCopy(demo, imported_demo, tmp_path / "shop")
    yield made
    made.close()
