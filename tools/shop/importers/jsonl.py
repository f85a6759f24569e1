"""Reads the canonical form that tools/shop/types.py documents: shop.yaml, products.jsonl and what else there is."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from tools.kit.errors import ImportFailed
from tools.shop.importers.pictures import UnusablePicture, check_picture
from tools.shop.importers.source import (
    MAX_LINE_BYTES,
    Entry,
    Located,
    Note,
    Rejected,
    check,
    check_json,
    file_below,
    read_lines,
    required_file,
)
from tools.shop.types import Basket, Clause, Customer, Order, Product, Review, ShopInfo, SizeChart

_FILES: tuple[tuple[str, type[Product | Customer | Order | Clause | Basket | SizeChart | Review]], ...] = (
    ("products.jsonl", Product),
    ("customers.jsonl", Customer),
    ("orders.jsonl", Order),
    ("clauses.jsonl", Clause),
    ("baskets.jsonl", Basket),
    ("size_charts.jsonl", SizeChart),
    ("reviews.jsonl", Review),
)


def read(source: Path) -> Iterator[Entry]:
    """Read a folder with shop.yaml and products.jsonl, and whatever else of the canonical form is there, with its pictures."""
    yield Located("shop.yaml", read_info(required_file(source, "shop.yaml")))
    required_file(source, "products.jsonl")
    for name, model in _FILES:
        if not (source / name).is_file():
            continue
        for where, line in read_lines(source / name):
            record = line if isinstance(line, Rejected) else check_json(where, model, line)
            if isinstance(record, Rejected):
                yield record
            elif isinstance(record, Product):
                yield from _with_pictures(where, record, source / "pictures")
            else:
                yield Located(where, record)


def read_info(path: Path) -> ShopInfo:
    """What a shop.yaml says of the shop. Raises ImportFailed if it says nothing that can be used."""
    if path.stat().st_size > MAX_LINE_BYTES:
        raise ImportFailed(f"'{path}' is larger than {MAX_LINE_BYTES:,} bytes; is it the right file?")
    try:
        values = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, RecursionError) as error:
        raise ImportFailed(f"'{path}' is not valid YAML ({error}); mend it.") from error
    info = check("shop.yaml", ShopInfo, values)
    if isinstance(info, Rejected):
        raise ImportFailed(f"'{path}' does not describe a shop ({info.reason}); mend it.")
    return info


def _with_pictures(where: str, product: Product, folder: Path) -> Iterator[Entry]:
    files: dict[str, Path] = {}
    for name in product.pictures:
        file = file_below(folder, name)
        if file is None:
            yield Note(where, f"picture '{name}' is not in pictures/: left out")
            continue
        try:
            check_picture(file)
            files[name] = file
        except UnusablePicture as error:
            yield Note(where, f"picture '{name}' {error}: left out")
    yield Located(where, product.model_copy(update={"pictures": tuple(files)}), files)
