"""The demo shop's catalogue is complete in both languages, and its pictures are what the drawings say."""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image, ImageChops, ImageStat

from tools.shop.demo import draw
from tools.shop.types import LocalText, Product, ShopInfo

DEMO = Path(draw.__file__).parent


@pytest.fixture(scope="module")
def products() -> list[Product]:
    lines = (DEMO / "products.jsonl").read_text(encoding="utf-8").splitlines()
    return [Product.model_validate_json(line) for line in lines]


@pytest.fixture(scope="module")
def info() -> ShopInfo:
    return ShopInfo.model_validate(yaml.safe_load((DEMO / "shop.yaml").read_text(encoding="utf-8")))


def test_the_demo_shop_is_large_enough(products: list[Product]) -> None:
    assert len(products) >= 120
    assert len({product.category.en for product in products}) >= 8
    assert sum(len(product.variants) for product in products) >= 400


def test_every_id_is_used_once(products: list[Product]) -> None:
    product_ids = [product.id for product in products]
    variant_ids = [variant.id for product in products for variant in product.variants]
    assert len(set(product_ids)) == len(product_ids)
    assert len(set(variant_ids)) == len(variant_ids)


def test_no_product_offers_the_same_options_twice(products: list[Product]) -> None:
    for product in products:
        options = [json.dumps(variant.options, sort_keys=True) for variant in product.variants]
        assert len(set(options)) == len(options), product.id


def test_every_text_is_there_in_english_and_chinese(products: list[Product], info: ShopInfo) -> None:
    texts: list[tuple[str, LocalText | None]] = [("shop name", info.name)]
    texts += [(f"word {word}", text) for word, text in info.words.items()]
    for product in products:
        texts += [(product.id, text) for text in (product.title, product.description, product.category)]
        texts += [(product.id, text) for text in product.attributes.values()]
    for where, text in texts:
        assert text is not None, where
        assert text.en, where
        assert text.zh, where


def test_descriptions_and_keywords_are_in_both_scripts(products: list[Product]) -> None:
    for product in products:
        assert product.description is not None
        assert _has_han(product.description.zh or ""), product.id
        assert not _has_han(product.description.en or ""), product.id
        assert any(_has_han(word) for word in product.keywords), product.id
        assert any(not _has_han(word) for word in product.keywords), product.id


def test_a_category_has_one_name_in_each_language(products: list[Product]) -> None:
    names = {(product.category.en, product.category.zh) for product in products}
    assert len({en for en, _ in names}) == len({zh for _, zh in names}) == len(names)


def test_shop_words_cover_every_option_and_attribute(products: list[Product], info: ShopInfo) -> None:
    used = {name for product in products for name in product.attributes}
    for product in products:
        for variant in product.variants:
            used |= {word.lower() for pair in variant.options.items() for word in pair}
    assert used <= set(info.words)


def test_some_variants_and_a_few_whole_products_are_sold_out(products: list[Product]) -> None:
    variants = [variant for product in products for variant in product.variants]
    sold_out = sum(not variant.in_stock for variant in variants)
    assert 0.03 < sold_out / len(variants) < 0.25
    assert 1 <= sum(not product.in_stock for product in products) <= 8


def test_every_price_is_known_and_some_products_have_several(products: list[Product]) -> None:
    prices = [{variant.price_cents for variant in product.variants} for product in products]
    assert all(price for of_one in prices for price in of_one)
    assert sum(len(of_one) > 1 for of_one in prices) >= 10


def test_final_sale_hygiene_and_food_are_marked_where_the_policy_excludes_them(products: list[Product]) -> None:
    assert 4 <= sum("final_sale" in product.attributes for product in products) <= 6
    for product in products:
        if product.category.en == "Swimwear":
            assert "hygiene" in product.attributes, product.id
        if product.category.en == "Tea, coffee & chocolate":
            assert "perishable" in product.attributes, product.id


def test_every_picture_decodes_and_none_is_shown_twice(products: list[Product]) -> None:
    names = [name for product in products for name in product.pictures]
    assert all(product.pictures for product in products)
    assert {path.name for path in (DEMO / "pictures").iterdir()} == set(names)
    contents = set()
    for name in names:
        with Image.open(DEMO / "pictures" / name) as image:
            assert min(image.size) >= 256, name
            contents.add(image.convert("RGB").tobytes())
    assert len(contents) == len(names)


def test_the_pictures_stay_small(products: list[Product]) -> None:
    assert sum(path.stat().st_size for path in (DEMO / "pictures").iterdir()) <= 2_000_000


def test_at_least_sixty_things_are_drawn_and_all_of_them_used() -> None:
    used = {layer for entry in draw.read_table()["products"].values() for layer in entry["layers"]}
    drawn = {path.stem for path in (DEMO / "drawings" / "things").iterdir()}
    assert used == drawn
    assert sum(not name.startswith("detail-") for name in drawn) >= 60


@pytest.mark.parametrize("product_id", ["p003", "p085", "p134"])
def test_the_renderer_reproduces_a_picture(product_id: str) -> None:
    drawn = draw.draw_picture(product_id, draw.read_table())
    with Image.open(DEMO / "pictures" / f"{product_id}.webp") as image:
        difference = ImageChops.difference(drawn, image.convert("RGB"))
    assert max(ImageStat.Stat(difference).mean) < 4


def test_an_unknown_product_has_no_drawing() -> None:
    with pytest.raises(KeyError, match="p999"):
        draw.compose_svg("p999", draw.read_table())


def _has_han(text: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)
