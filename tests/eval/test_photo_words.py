"""Questions of a photo with words: what is right follows from the shop's records alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from PIL import Image

from eval.photo_words import best_worth, measure_photo_words, questions_by_attribute, questions_by_title
from eval.photos import Remembering
from tools.catalog.index import Hit
from tools.shop.types import LocalText, Product, ShopInfo, Variant

INFO = ShopInfo(name=LocalText(en="Fruit"), currency="USD", words={"red": LocalText(en="red", zh="红色")})


def product(name: str, category: str, color: str, material: str) -> Product:
    return Product(
        id=name, title=LocalText(en=name), category=LocalText(en=category), attributes={"material": LocalText(en=material)},
        variants=(Variant(id=name, options={"color": color}, price_cents=1),),
    )  # fmt: skip


def shop_of(*products: Product) -> Any:
    return cast(Any, SimpleNamespace(info=INFO, products=lambda: iter(products)))


def test_a_question_asks_for_what_the_product_lacks_and_its_kin_has() -> None:
    shop = shop_of(
        product("boot", "shoes", "red", "suede"),
        product("clog", "shoes", "blue", "suede"),
        product("hat", "hats", "green", "felt"),
    )
    asked = questions_by_attribute(shop, {"clog": Path("clog.png"), "hat": Path("hat.png")})
    assert {(each.language, each.right) for each in asked} == {("en", frozenset({"boot"})), ("zh", frozenset({"boot"}))}
    assert {"red" in each.text if each.language == "en" else "红色" in each.text for each in asked} == {True}


def test_a_word_of_a_title_is_asked_only_where_other_categories_have_it_too() -> None:
    shop = shop_of(
        product("Vanilla Yoghurt", "yoghurt", "", "milk"),
        product("Plain Yoghurt", "yoghurt", "", "milk"),
        product("Vanilla Soyghurt", "soyghurt", "", "soy"),
    )
    asked = questions_by_title(shop, [(Path("a.png"), "Plain Yoghurt"), (Path("b.png"), "Vanilla Yoghurt")])
    assert [(each.right, "vanilla" in each.text) for each in asked] == [(frozenset({"Vanilla Yoghurt"}), True)]


def test_the_weight_is_chosen_on_one_half_of_the_categories_and_told_on_the_other(tmp_path: Path) -> None:
    photos = {}
    for name in ("clog", "cap"):
        photos[name] = tmp_path / f"{name}.png"
        Image.new("RGB", (4, 4)).save(photos[name])
    shop = shop_of(
        product("boot", "shoes", "red", "suede"), product("clog", "shoes", "blue", "suede"),
        product("hat", "hats", "red", "felt"), product("cap", "hats", "blue", "felt"),
    )  # fmt: skip

    def search(text: str, *_: Any, photo: Any = None, photo_worth: float = 0.0) -> list[Hit]:
        order = ["hat", "boot"] if photo_worth == 0.02 else ["clog", "cap", "hat", "boot"]
        return [Hit(each, 1.0) for each in order]

    catalog = cast(Any, SimpleNamespace(search=search, identify=lambda photo, limit: [Hit("cap", 1.0)]))
    result = measure_photo_words(catalog, questions_by_attribute(shop, photos))
    assert {part: each["questions"] for part, each in result.items()} == {"chosen_on": 2, "told_on": 2}
    assert result["chosen_on"]["both"]["0.02"] == 1.0
    assert result["told_on"]["photo"] == 0.0
    assert best_worth([result]) == "0.02"


def test_nothing_is_encoded_twice() -> None:
    calls: list[str] = []

    def queries(texts: list[str]) -> Any:
        calls.extend(texts)
        return np.ones((len(texts), 2))

    encoder = Remembering(SimpleNamespace(queries=queries, fingerprint="f"))
    assert encoder.queries(["a", "b", "a"]).shape == (3, 2)
    assert calls == ["a", "b"]
    assert encoder.fingerprint == "f"
