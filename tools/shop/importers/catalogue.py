"""What the readers of other systems' catalogues share: the shop's info, names of options, and a product's last steps.

A catalogue lies in a folder of its own with a shop.yaml, which says what no catalogue says: the shop's name, currency and time
zone. Pictures that the catalogue names by file are in pictures/.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.kit.errors import ImportFailed
from tools.shop.importers.jsonl import read_info
from tools.shop.importers.pictures import UnusablePicture, check_picture, file_beside, is_web_address
from tools.shop.importers.plain_text import local, plain_text
from tools.shop.importers.source import Entry, Located, Note, Rejected, check
from tools.shop.types import LocalText, Product, ShopInfo

MAX_TEXT = 20_000
"""Characters that tools/shop/types.py lets a text have."""
OTHER = {"en": "Other", "zh": "其他"}
"""The category of what has none."""
_WORDS = {"color": LocalText(en="color", zh="颜色"), "size": LocalText(en="size", zh="尺寸")}
_OPTION_NAMES = {
    "colour": "color",
    "颜色": "color",
    "颜色分类": "color",
    "顏色": "color",
    "尺寸": "size",
    "尺码": "size",
    "尺碼": "size",
}


def catalogue_info(source: Path) -> ShopInfo:
    """The shop.yaml of a catalogue's folder. Raises ImportFailed."""
    path = source / "shop.yaml"
    if not path.is_file():
        raise ImportFailed(
            f'\'{source}\' has no shop.yaml; write one there with two lines, like "name: {{en: My shop}}" and "currency: EUR".'
        )
    info = read_info(path)
    return info.model_copy(update={"words": {**_WORDS, **info.words}})


def option_name(name: str) -> str:
    """An option's name; "color" and "size" whatever a catalogue calls them."""
    plain = name.strip()
    lowered = plain.lower()
    return _OPTION_NAMES.get(lowered, lowered if lowered in _WORDS else plain)


def category(path: str) -> dict[str, str]:
    """A category path like "Home > Mugs" as our products have it."""
    parts = [plain_text(part) for part in path.split(">")]
    return local(" / ".join(part for part in parts if part)) if any(parts) else OTHER


def product_entries(
    source: Path, where: str, values: Mapping[str, Any], description: str, pictures: Sequence[str]
) -> Iterator[Entry]:
    """A product with its description out of HTML and its pictures, which are names of files or web addresses."""
    text = plain_text(description)
    if len(text) > MAX_TEXT:
        yield Note(where, f"the description is longer than {MAX_TEXT:,} characters: cut")
    product = check(where, Product, {**values, "description": local(text[:MAX_TEXT]) if text else None})
    if isinstance(product, Rejected):
        yield product
        return
    files: dict[str, Path] = {}
    addresses = []
    for reference in dict.fromkeys(pictures):
        found = file_beside(source, reference)
        if not found and is_web_address(reference):
            addresses.append(reference)
        elif not found:
            yield Note(where, f"picture '{reference[:200]}' is not in pictures/: left out")
        else:
            try:
                check_picture(found[1])
                files[found[0]] = found[1]
            except UnusablePicture as error:
                yield Note(where, f"picture '{reference[:200]}' {error}: left out")
    yield Located(where, product.model_copy(update={"pictures": tuple(files)}), files, tuple(addresses))
