"""A folder with a shop.yaml and a feed, imported into a shop beside it."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from imported import SHOP_YAML, Imported, Importing

from tools.shop.importers import import_shop
from tools.shop.sqlite_shop import SqliteShop


@pytest.fixture
def importing(tmp_path: Path) -> Importing:
    """Import `files` (path: content) in a format, with a shop.yaml beside them unless they bring one."""

    def run(source_format: str, files: Mapping[str, str | bytes], *, fetch_pictures: bool = False) -> Imported:
        source = tmp_path / "source"
        for name, content in {"shop.yaml": SHOP_YAML, **files}.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        report = import_shop(source_format, source, tmp_path / "shop", fetch_pictures=fetch_pictures)
        with SqliteShop.open(tmp_path / "shop") as shop:
            products = {product.id: product for product in shop.products()}
            clauses = {clause.id: clause for clause in shop.clauses(date(2026, 1, 1))}
        return Imported(report, products, clauses, tmp_path / "shop")

    return run
