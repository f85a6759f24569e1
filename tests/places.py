"""Where tests find real files."""

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PICTURES = Path(__file__).resolve().parents[1] / "tools" / "shop" / "demo" / "pictures"


def shared_data(name: str) -> Path:
    """A folder of the real data beside the checkout; the test is skipped where it is not there."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"'{folder}' is not on this machine")
    return folder
