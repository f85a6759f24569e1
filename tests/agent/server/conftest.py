"""A browser for the tests of the pages that the server gives out."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium with a microphone that hums; tests are skipped where there is none."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="the browser's driver is not installed: pip install playwright"
    )
    program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    sound = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=arguments + sound)
        yield running
        running.close()
