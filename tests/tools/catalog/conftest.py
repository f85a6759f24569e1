from pathlib import Path

import pytest
from filelock import FileLock
from platformdirs import user_cache_path

from tools.catalog.e5_pack import convert
from tools.catalog.photo_encoder import PhotoEncoder, load_embedded
from tools.catalog.text_encoder import TextEncoder

WEIGHTS = user_cache_path("storehand") / "weights"


@pytest.fixture(scope="session")
def e5_folder() -> Path:
    """The converted default text encoder; converted now if it was not yet."""
    pack, folder = WEIGHTS / "e5-small" / "e5-small-q4.bin", WEIGHTS / "e5-small" / "transformers"
    if not pack.exists():
        pytest.skip('the weights are not here: run "storehand weights"')
    with FileLock(WEIGHTS / "e5-small.lock"):
        if not folder.exists():
            convert(pack, folder)
    return folder


@pytest.fixture(scope="session")
def text_encoder(e5_folder: Path) -> TextEncoder:
    return TextEncoder(e5_folder)


@pytest.fixture(scope="session")
def photo_encoder() -> PhotoEncoder:
    pths = list((WEIGHTS / "efficientnet-lite2").glob("*.pth"))
    if not pths:
        pytest.skip('the weights are not here: run "storehand weights"')
    return load_embedded(pths[0])
