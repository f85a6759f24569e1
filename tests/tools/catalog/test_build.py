"""A build that is killed, seen from outside: the process is killed for good, and another one goes on."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_shop import SmallShop
from test_catalog import LetterEncoder

from tools.catalog.build import index_shop
from tools.catalog.catalog import Catalog
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.index import NO_FILTERS
from tools.shop.types import LocalText

BUILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_build import big_shop
from test_catalog import LetterEncoder
from tools.catalog.build import index_shop
from tools.catalog.edge_index import EdgeIndex

class Slow(LetterEncoder):
    def passages(self, texts):
        if len(self.encoded) >= 128:
            print("half done", flush=True)
            time.sleep(60)
        return super().passages(texts)

folder = Path(sys.argv[1])
index_shop(big_shop(folder), EdgeIndex(folder / "index"), Slow("new"), None, folder / "vectors.sqlite")
"""


def big_shop(folder: Path) -> SmallShop:
    """A hundred products beside the twelve, so that a build has several batches."""
    shop = SmallShop(folder)
    for n in range(100):
        title = LocalText(en=f"Pot {n}", zh=f"锅 {n}")
        shop.stocked[f"pot-{n:03}"] = shop.stocked["kettle"].model_copy(update={"id": f"pot-{n:03}", "title": title})
    return shop


def test_a_build_killed_midway_leaves_the_old_index_answering_and_the_next_one_goes_on(tmp_path: Path) -> None:
    shop, index = SmallShop(tmp_path), EdgeIndex(tmp_path / "index")

    def build(encoder: LetterEncoder) -> bool:
        return index_shop(big_shop(tmp_path), index, encoder, pytest.fail, tmp_path / "vectors.sqlite").rebuilt

    index_shop(shop, index, LetterEncoder("old"), pytest.fail, tmp_path / "vectors.sqlite")
    catalog = Catalog.open(shop, index, LetterEncoder("old"), pytest.fail)
    with subprocess.Popen(
        [sys.executable, "-c", BUILD, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "half done\n"
        killed.kill()
    assert catalog.search("kettle", "en", NO_FILTERS, 1)
    assert len(list((tmp_path / "index").glob("generation-*"))) == 2
    encoder = LetterEncoder("new")
    began = time.perf_counter()
    assert build(encoder)
    assert time.perf_counter() - began < 30  # no lock is left
    assert not any(f"Pot {n}." in text for text in encoder.encoded for n in range(20))
    assert any("Pot 99." in text for text in encoder.encoded)
    assert len(list((tmp_path / "index").glob("generation-*"))) == 1
    assert (
        Catalog.open(big_shop(tmp_path), index, encoder, pytest.fail).search("pot 99", "en", NO_FILTERS, 1)[0].id == "pot-099"
    )
