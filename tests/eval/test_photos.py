"""Measuring photo identification: what counts as found, what the gallery holds, what a list may say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image
from places import shared_data
from typer.testing import CliRunner

from eval.bench import app
from eval.photos import (
    PhotoModels,
    WithPhotos,
    clothing_photos,
    identify_photos,
    name_photos,
    places_of,
    read_labelled_photos,
    shares,
    told_of,
)
from tools.catalog.index import Hit
from tools.identify_product import LIKELY
from tools.kit.errors import OperatorError
from tools.shop.shop import Shop
from tools.shop.types import LocalText, Product, Variant

NAMES = {"red": {"en": "red thing", "zh": "红色的"}, "blue": {"en": "blue thing", "zh": "蓝色的"}}


class ByName:
    """Finds the product that the photo's colour stands for."""

    def identify(self, photo: Image.Image, limit: int) -> list[Hit]:
        red = photo.convert("RGB").getpixel((0, 0)) == (255, 0, 0)
        return [Hit("red", 0.9), Hit("blue", 0.5)] if red else [Hit("green", 0.9), Hit("blue", 0.5)]


@pytest.fixture
def grocery(tmp_path: Path) -> Path:
    header = "Class Name (str),Class ID (int),Coarse Class Name (str)"
    (tmp_path / "classes.csv").write_text(f"{header}\nred,0,colour\nblue,1,colour\nblack,2,colour\n")
    for color in ("red", "blue", "black"):
        Image.new("RGB", (8, 8), color).save(tmp_path / f"{color}.png")
    (tmp_path / "val.txt").write_text("red.png, 0, 0\nblue.png, 1, 0\nblack.png, 2, 0\n")
    return tmp_path


def test_photos_count_as_first_among_five_or_not_found(grocery: Path) -> None:
    photos = read_labelled_photos(grocery, grocery / "val.txt")
    places = places_of(identify_photos(cast(Any, ByName()), photos), photos)
    assert places == [0, 1, None]
    assert shares(places) == {"top1": pytest.approx(1 / 3), "top5": pytest.approx(2 / 3)}


def test_what_is_told_is_counted_with_the_product_in_the_catalogue_and_without_it() -> None:
    photos = [(Path("1.png"), "red"), (Path("2.png"), "blue")]
    found = [[Hit("red", 0.95), Hit("blue", 0.1)], [Hit("red", LIKELY + 0.02), Hit("blue", LIKELY + 0.01), Hit("green", 0.0)]]
    told = told_of(found, photos)
    assert told["in_catalogue"] == {"named": 0.5, "named_right": 0.5, "asked": 0.5, "asked_right": 0.5, "not_ours": 0}
    assert told["not_in_catalogue"] == {"named": 0, "named_right": 0, "asked": 0.5, "asked_right": 0, "not_ours": 0.5}


def test_a_limit_takes_photos_from_the_whole_list(grocery: Path) -> None:
    (grocery / "val.txt").write_text("red.png, 0, 0\n" * 10 + "blue.png, 1, 0\n" * 10)
    names = [name for _, name in read_labelled_photos(grocery, grocery / "val.txt", 4)]
    assert names == ["red", "red", "blue", "blue"]


@pytest.mark.parametrize("line", ["red.png", "red.png, 77, 0", "gone.png, 0, 0"])
def test_a_list_that_fits_no_photo_names_its_line(grocery: Path, line: str) -> None:
    (grocery / "val.txt").write_text(f"red.png, 0, 0\n{line}\n")
    with pytest.raises(OperatorError, match="line 2"):
        read_labelled_photos(grocery, grocery / "val.txt")


def test_clothes_are_those_of_the_validation_or_of_the_split_that_there_is(tmp_path: Path) -> None:
    def photo(*parts: str) -> None:
        path = tmp_path.joinpath(*parts)
        path.parent.mkdir(parents=True)
        path.touch()

    photo("classes", "hat", "1.jpg")
    photo("one", "later", "hat", "1.jpg")
    photo("both", "train", "hat", "1.jpg")
    photo("both", "validation", "shirt", "2.jpg")
    assert [clothing_photos(tmp_path / each)[0][1] for each in ("classes", "one", "both")] == ["hat", "hat", "shirt"]


def test_the_grocery_stores_list_names_photos_that_are_there() -> None:
    folder = shared_data("grocery_store")
    photos = read_labelled_photos(folder, folder / "val.txt")
    assert len(photos) == 296
    assert photos[0][1] == "Golden-Delicious"


class OneProduct:
    """A shop with one product and one picture."""

    def products(self) -> list[Product]:
        return [
            Product(
                id="red",
                title=LocalText(en="Red"),
                category=LocalText(en="colour"),
                pictures=("red.png",),
                variants=(Variant(id="red", price_cents=None),),
            )
        ]

    def picture(self, name: str) -> Path:
        return Path("/shop") / name


def test_photos_stand_beside_the_pictures_of_their_product(grocery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(grocery)
    shop = WithPhotos(cast(Shop, OneProduct()), {"red": [Path("red.png")]})
    (product,) = shop.products()
    assert [shop.picture(name) for name in product.pictures] == [Path("/shop/red.png"), grocery / "red.png"]


class Shown:
    """A photo's vector is its colour."""

    def photos(self, photos: Sequence[Image.Image]) -> Any:
        return np.stack([np.asarray(photo.convert("RGB"))[0, 0] / 255 for photo in photos])


def test_photos_are_looked_for_among_captions_of_each_language(grocery: Path) -> None:
    def said(texts: Sequence[str]) -> Any:
        # In Chinese, this text tower takes red for blue.
        return np.stack([[("red" in text) + ("蓝" in text), 0.1, ("blue" in text) + ("红" in text)] for text in texts])

    models = PhotoModels(cast(Any, None), cast(Any, Shown()), said)
    photos = read_labelled_photos(grocery, grocery / "val.txt")[:2]
    assert name_photos(models, photos, cast(Any, NAMES)) == {"words_en": [0, 0], "words_zh": [1, 1]}


@pytest.mark.parametrize("given", [[], ["--grocery", "."], ["--clothing", ".", "--unseen", "Lime"]])
def test_what_is_measured_has_to_be_given(given: list[str]) -> None:
    assert CliRunner().invoke(app, ["photos", *given]).exit_code == 2
