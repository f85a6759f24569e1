"""Do customers' photos find their product? Photos labelled with their class in, top-1 and top-5 out.

Among the catalogue's pictures; among these and other customers' photos; and among what the products are called, in both languages.
"""

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.resources import text_encoder_of
from agent.settings import Settings
from agent.train.pictures import captions, read_clothing, read_names
from tools.catalog.build import index_shop
from tools.catalog.catalog import Catalog
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.index import Hit
from tools.catalog.photo_encoder import PhotoEncoder
from tools.identify_product import LIKELY, SHOWN, verdict
from tools.kit.errors import OperatorError
from tools.shop.importers import import_shop
from tools.shop.shop import Shop
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import LANGUAGES, Language, Product

NEAREST = 5
Labelled = tuple[Path, str]
Places = list[int | None]
"""Where each photo's product came, from 0; None if it was not among the first five."""
Track = Callable[[Sequence[Labelled], str], Iterable[Labelled]]
"""Hands on the photos one by one and shows how far it is."""


@dataclass(frozen=True)
class PhotoModels:
    """What is measured: the encoder that compares pictures, and two towers that share a space with texts."""

    pictures: PhotoEncoder
    shown: PhotoEncoder
    said: Callable[[Sequence[str]], NDArray[np.float32]]


def read_labelled_photos(folder: Path, listed: Path, limit: int | None = None) -> list[Labelled]:
    """The photos of a Grocery Store Dataset list and the names of their classes; `limit` takes that many, spread over the list.

    A line is "path below the folder, number of the class, …"; classes.csv in the folder names the classes. Raises
    OperatorError with the line that is wrong.
    """
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        names = {row["Class ID (int)"]: row["Class Name (str)"] for row in csv.DictReader(file)}
    photos: list[Labelled] = []
    for number, line in enumerate(listed.read_text(encoding="utf-8").splitlines(), start=1):
        path, *labels = (part.strip() for part in line.split(","))
        if not labels or labels[0] not in names or not (folder / path).is_file():
            raise OperatorError(
                f"'{listed}', line {number}: {line!r} names no photo in '{folder}' or no class of its classes.csv."
            )
        photos.append((folder / path, names[labels[0]]))
    if limit is not None and limit < len(photos):
        # The list goes class by class: its first part would be apples only.
        photos = [photos[place * len(photos) // limit] for place in range(limit)]
    return photos


class Remembering:
    """An encoder that encodes nothing twice: the same photos and texts are asked in several ways."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self._kept: dict[Any, NDArray[np.float32]] = {}

    def photos(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """As the encoder gives them."""
        return np.stack(
            [
                self._of(hashlib.sha256(each.tobytes()).digest(), lambda each=each: self._encoder.photos([each])[0])
                for each in pictures
            ]
        )

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As the encoder gives them."""
        return np.stack([self._of(each, lambda each=each: self._encoder.queries([each])[0]) for each in texts])

    def _of(self, content: Any, encode: Any) -> NDArray[np.float32]:
        if content not in self._kept:
            self._kept[content] = encode()
        return self._kept[content]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)


@dataclass(frozen=True)
class WithPhotos:
    """A shop whose products have customers' photos among their pictures. Only what an index is made from is changed."""

    shop: Shop
    photos: Mapping[str, Sequence[Path]]
    """By product."""

    def products(self) -> Iterator[Product]:
        """Every product, its own pictures first."""
        for product in self.shop.products():
            photos = (str(path.resolve()) for path in self.photos.get(product.id, ()))
            yield product.model_copy(update={"pictures": (*product.pictures, *photos)})

    def picture(self, name: str) -> Path:
        """The file of a picture or photo."""
        return Path(name) if Path(name).is_absolute() else self.shop.picture(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.shop, name)


def measure_grocery(
    settings: Settings, models: PhotoModels, grocery: Path, photos: Sequence[Labelled], unseen: Sequence[str], track: Track
) -> dict[str, Any]:
    """Where each photo's product comes among catalogue pictures, with training photos in the gallery, and among names.

    "told" is what the agent would say, as `told_of` counts it. The gallery holds no photos of the classes in `unseen`; with any,
    figures of their photos alone stand under "unseen" too.
    """
    gallery: dict[str, list[Path]] = {}
    for path, product in read_labelled_photos(grocery, grocery / "train.txt"):
        if product not in unseen:
            gallery.setdefault(product, []).append(path)
    found: dict[str, Places] = {}
    hits: dict[str, list[list[Hit]]] = {}
    text_encoder, pictures = text_encoder_of(settings), cast(PhotoEncoder, Remembering(models.pictures))
    with TemporaryDirectory() as apart:
        import_shop("grocery-store", grocery, Path(apart) / "shop")
        with SqliteShop.open(Path(apart) / "shop") as shop:
            for what, its in (("nearest_picture", shop), ("with_photos", cast(Shop, WithPhotos(shop, gallery)))):
                index = EdgeIndex(Path(apart) / what)
                try:
                    built = index_shop(its, index, text_encoder, lambda: pictures, Path(apart) / "vectors.sqlite")
                    if not index.manifest().counts.get("pictures"):
                        raise OperatorError(f"'{grocery}' holds none of the catalogue's pictures that its classes.csv names.")
                    if built.unreadable_pictures:
                        raise OperatorError(f"a picture to compare with cannot be read: {built.unreadable_pictures[0]}")
                    catalog = Catalog.open(its, index, text_encoder, lambda: pictures)
                    hits[what] = identify_photos(catalog, track(photos, what))
                    found[what] = places_of(hits[what], photos)
                finally:
                    index.close()
    found |= name_photos(models, photos, read_names()["grocery"])
    result: dict[str, Any] = {"photos": len(photos)} | {what: shares(places) for what, places in found.items()}
    result["told"] = told_of(hits["nearest_picture"], photos)
    if unseen:
        alone = [number for number, (_, product) in enumerate(photos) if product in unseen]
        if not alone:
            raise OperatorError("no photo of the list shows one of the classes left out.")
        result["unseen"] = {"photos": len(alone)} | {
            what: shares([places[number] for number in alone]) for what, places in found.items()
        }
        nearest = hits["nearest_picture"]
        result["unseen"]["told"] = told_of([nearest[number] for number in alone], [photos[number] for number in alone])
    return result


def measure_clothing(models: PhotoModels, clothing: Path) -> dict[str, Any]:
    """Where each photo's class comes among the ten names; see `clothing_photos`."""
    photos = clothing_photos(clothing)
    found = name_photos(models, photos, read_names()["clothing"])
    return {"photos": len(photos)} | {what: shares(places) for what, places in found.items()}


def clothing_photos(folder: Path) -> list[Labelled]:
    """The photos of a folder of classes; of one of splits, those of "validation", or of the one split that there is."""
    splits = [each for each in folder.iterdir() if any(each.glob("*/*.jpg"))]
    chosen = [each for each in splits if each.name == "validation"] or (splits if len(splits) == 1 else [folder])
    return [(each.path, each.product) for each in read_clothing(chosen[0])]


def identify_photos(catalog: Catalog, photos: Iterable[Labelled]) -> list[list[Hit]]:
    """The products whose pictures are nearest to each photo, and one more than counts."""
    found = []
    for path, _ in photos:
        with Image.open(path) as photo:
            found.append(catalog.identify(photo, NEAREST + 1))
    if not found:
        raise OperatorError("the list names no photos.")
    return found


def places_of(found: Sequence[Sequence[Hit]], photos: Sequence[Labelled]) -> Places:
    """Where each photo's product came."""
    ids = [[hit.id for hit in hits[:NEAREST]] for hits in found]
    return [row.index(product) if product in row else None for row, (_, product) in zip(ids, photos, strict=True)]


def told_of(found: Sequence[Sequence[Hit]], photos: Sequence[Labelled]) -> dict[str, dict[str, float]]:
    """What the agent would say to each photo, and what it would if the shop did not have the product: shares of all photos.

    "named" is one product alone, "named_right" where it is the photo's, "asked" a question between several, "asked_right" where the
    photo's is among them, "not_ours" that the shop has nothing like it.
    """
    told: dict[str, dict[str, float]] = {}
    for which in ("in_catalogue", "not_in_catalogue"):
        counts = dict.fromkeys(("named", "named_right", "asked", "asked_right", "not_ours"), 0)
        for hits, (_, product) in zip(found, photos, strict=True):
            left = [hit for hit in hits if which == "in_catalogue" or hit.id != product][:SHOWN]
            said = verdict([hit.score for hit in left])
            shown = [hit.id for hit in left if hit.score >= LIKELY]
            counts["named"] += said == "this"
            counts["named_right"] += said == "this" and shown[0] == product
            counts["asked"] += said == "one_of_these"
            counts["asked_right"] += said == "one_of_these" and product in shown
            counts["not_ours"] += said == "not_ours"
        told[which] = {what: count / len(photos) for what, count in counts.items()}
    return told


def name_photos(
    models: PhotoModels, photos: Sequence[Labelled], names: Mapping[str, Mapping[Language, str]]
) -> dict[str, Places]:
    """Look for each photo's product among all names, by captions in one language: {"words_en": places, "words_zh": …}."""
    known = list(names)
    shown = []
    for path, _ in photos:
        with Image.open(path) as photo:
            shown.append(models.shown.photos([photo])[0])
    found = {}
    for language in LANGUAGES:
        said = [captions(names[name][language], language) for name in known]
        vectors = models.said([caption for each in said for caption in each]).reshape(len(known), len(said[0]), -1).mean(axis=1)
        order = np.argsort(-np.stack(shown) @ (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T, axis=1)[:, :NEAREST]
        nearest = [[known[place] for place in row] for row in order]
        found[f"words_{language}"] = [
            row.index(product) if product in row else None for row, (_, product) in zip(nearest, photos, strict=True)
        ]
    return found


def shares(places: Places) -> dict[str, float]:
    """How many were found first, and among the first five."""
    return {
        "top1": sum(place == 0 for place in places) / len(places),
        "top5": sum(place is not None for place in places) / len(places),
    }
