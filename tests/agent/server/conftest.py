"""A server of one's own for each module that needs no other, and a browser for the pages that it gives out."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from counter import Counter, Launch, Open
from visits import Visit

from agent.resources import DEMO_SOURCE
from tools.shop import sqlite_shop
from tools.shop.importers import import_shop
from tools.shop.policy import Policy
from tools.shop.sqlite_shop import SqliteShop

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def imported_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("server") / "demo"
    import_shop("jsonl", DEMO_SOURCE, folder, today=date.today())  # noqa: DTZ011
    return folder


@pytest.fixture(scope="session")
def policy(imported_shop: Path) -> Policy:
    with SqliteShop.open(imported_shop) as opened:
        return opened.policy


@pytest.fixture(autouse=True)
def policy_read_once(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading policy.yaml takes longer than most of these tests, and all of them have the same one."""
    monkeypatch.setattr(sqlite_shop, "load_policy", lambda *_: policy)


@pytest.fixture
def shop(imported_shop: Path, tmp_path: Path) -> Path:
    """A copy of the shop: what one test agrees to there, no other test sees."""
    return Path(shutil.copytree(imported_shop, tmp_path / "shop"))


@pytest.fixture
def open_counter(shop: Path, tmp_path: Path) -> Iterator[Open]:
    """Opens servers on the same shop and data folder."""
    opened: list[Counter] = []

    def open_one(*args: Any, **more: Any) -> Counter:
        counter = Counter(shop, tmp_path / "data", *args, **more)
        counter.start()
        opened.append(counter)
        return counter

    yield open_one
    for counter in opened:
        if not counter.server.should_exit:
            counter.close()


@pytest.fixture
def counter(open_counter: Open) -> Counter:
    return open_counter()


@pytest.fixture
def visit(counter: Counter) -> Iterator[Visit]:
    """A visitor's conversation."""
    with Visit(counter) as made:
        yield made


@pytest.fixture(scope="session")
def launch() -> Iterator[Launch]:
    """Starts headless Chromium with a microphone and further arguments; tests are skipped where there is none."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="the browser's driver is not installed: pip install playwright"
    )
    program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    sound = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_api.sync_playwright() as driver:
        yield lambda *more: driver.chromium.launch(executable_path=program, args=[*arguments, *sound, *more])


@pytest.fixture(scope="session")
def browser(launch: Launch) -> Iterator[Any]:
    """Chromium whose microphone hums."""
    running = launch()
    yield running
    running.close()
