"""Pictures to learn from: who reads them, what is said of them, and what the image tower's frozen stages make of them.

The frozen stages see several views of each picture: whole, distorted copies, and catalogue pictures cut out and laid upon
photos. What they make of them is computed once and kept in files.
"""

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torchvision.transforms import v2

from tools.catalog.photo_encoder import FROZEN_STAGES, PIXELS, SHARED, on_white, to_tensor
from tools.kit.errors import OperatorError
from tools.shop.types import LANGUAGES, Language

NAMES = Path(__file__).with_name("photos.yaml")
BATCH, AT_ONCE = 16, 2
"""Pictures kept at a time, and seen at a time: what the early stages make of more does not fit the processor's cache."""
WHOLE = 0
"""The view of a picture as it is; all others are distorted, each in a way of its own."""
PLAIN = 235
"""How bright each corner of a catalogue picture has to be to count as a plain background, of 255."""

Tensor = torch.Tensor
Tell = Callable[[float, str], None]
"""Told how much of all is done, from 0 to 1, and what is being done."""


@dataclass(frozen=True)
class Picture:
    """A picture of a product: a customer's photo of it, or the shop's own picture."""

    path: Path
    product: str
    by_customer: bool


def read_grocery(folder: Path, listed: str = "train.txt") -> list[Picture]:
    """The photos of a list of the Grocery Store Dataset, and the catalogue's pictures; products by the name of their class."""
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        classes = list(csv.DictReader(file))
    names = {row["Class ID (int)"]: row["Class Name (str)"] for row in classes}
    lines = [line.split(",") for line in (folder / listed).read_text(encoding="utf-8").splitlines() if line.strip()]
    photos = [Picture(folder / path.strip(), names[number.strip()], True) for path, number, *_ in lines]
    return photos + [
        Picture(folder / row["Iconic Image Path (str)"].lstrip("/"), row["Class Name (str)"], False) for row in classes
    ]


def read_clothing(folder: Path) -> list[Picture]:
    """The photos of a folder with a folder for each class. Raises OperatorError if there are none."""
    photos = [Picture(path, path.parent.name, True) for path in sorted(folder.glob("*/*.jpg"))]
    if not photos:
        raise OperatorError(f"'{folder}' has no folders of classes with .jpg files in them, like 'dress/1.jpg'.")
    return photos


@cache
def _names_file() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(NAMES.read_text(encoding="utf-8"))
    return read


def read_names() -> dict[str, dict[str, dict[Language, str]]]:
    """How the classes of each data set are called, by language: {"grocery": {"Lime": {"en": "lime", …}}, "clothing": …}."""
    return {which: _names_file()[which] for which in ("grocery", "clothing")}


def captions(name: str, language: Language) -> list[str]:
    """What a picture of the thing with this name may be captioned with."""
    return [caption.format(name=name) for caption in _names_file()["captions"][language]]


def caption_vectors(names: Sequence[Mapping[Language, str]], embed: Callable[[Sequence[str]], NDArray[np.float32]]) -> Tensor:
    """The captions of each name through the text tower, shape (names, languages, captions, 384)."""
    said = [[captions(name[language], language) for language in LANGUAGES] for name in names]
    flat = [caption for by_language in said for each in by_language for caption in each]
    return torch.from_numpy(embed(flat)).reshape(len(names), len(LANGUAGES), -1, SHARED)


class Views:
    """What the tower's frozen stages make of pictures, view by view, computed once and kept in a folder.

    `backgrounds` are photos that pictures on a plain ground are laid upon, in every second copy.
    """

    def __init__(
        self,
        tower: Any,
        pictures: Sequence[Picture],
        views: Sequence[int],
        folder: Path,
        tell: Tell,
        *,
        backgrounds: Sequence[Picture] = (),
    ) -> None:
        self.pictures = pictures
        self._tower, self._backgrounds, self._folder = tower, backgrounds, folder
        folder.mkdir(parents=True, exist_ok=True)
        files = [(each.path.name, each.path.stat().st_size) for each in (*pictures, *backgrounds)]
        digest = hashlib.sha256(repr(files).encode())
        for tensor in tower.blocks[:FROZEN_STAGES].state_dict().values():
            digest.update(tensor.contiguous().numpy().tobytes())
        self.key = digest.hexdigest()[:16]
        self._kept = {}
        for done, view in enumerate(views):

            def told(share: float, done: int = done) -> None:
                tell((done + share) / len(views), f"view {done + 1} of {len(views)}")

            self._kept[view] = self._view(view, told)

    def __len__(self) -> int:
        return len(self.pictures)

    def of(self, pictures: Sequence[int], views: Sequence[int]) -> Tensor:
        """The activations of one view of each picture, shape (len(pictures), channels, height, width)."""
        rows = [self._kept[view][picture] for picture, view in zip(pictures, views, strict=True)]
        return torch.from_numpy(np.stack(rows).astype(np.float32)).contiguous(memory_format=torch.channels_last)

    def _view(self, view: int, tell: Callable[[float], None]) -> NDArray[np.float16]:
        """All pictures in this view; goes on where it was interrupted."""
        path = self._folder / f"{self.key}-{view}.npy"
        partial, done_until = path.with_suffix(".partial"), path.with_suffix(".done")
        if not path.exists():
            side = self._frozen(torch.zeros(1, 3, PIXELS, PIXELS)).shape[1:]
            start = int(done_until.read_text()) if done_until.exists() and partial.exists() else 0
            kept = np.lib.format.open_memmap(partial, "r+" if start else "w+", np.float16, (len(self), *side))
            for at in range(start, len(self), BATCH):
                numbers = range(at, min(at + BATCH, len(self)))
                kept[numbers] = self._frozen(torch.stack([self._look(number, view) for number in numbers])).half().numpy()
                kept.flush()
                done_until.write_text(str(numbers[-1] + 1))
                tell((numbers[-1] + 1) / len(self))
            partial.replace(path)
            done_until.unlink()
        tell(1.0)
        return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]

    def _frozen(self, pixels: Tensor) -> Tensor:
        with torch.inference_mode():
            activations = torch.cat([self._stages(each) for each in torch.split(pixels, AT_ONCE)])
        return activations

    def _stages(self, pixels: Tensor) -> Tensor:
        stem = self._tower.bn1(self._tower.conv_stem(pixels.contiguous(memory_format=torch.channels_last)))
        activations: Tensor = self._tower.blocks[:FROZEN_STAGES](stem)
        return activations

    def _look(self, number: int, view: int) -> Tensor:
        picture = open_picture(self.pictures[number].path)
        if view == WHOLE:
            return to_tensor(picture)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((view + 1) * 100_003 + number)
            laid = None
            if self._backgrounds and view % 2:
                background = self._backgrounds[int(torch.randint(0, len(self._backgrounds), ()))]
                laid = _laid_upon(picture, _crop()(open_picture(background.path)))
            return to_tensor(_distort()(_crop()(picture) if laid is None else laid))


@cache
def _crop() -> Any:
    return v2.RandomResizedCrop((PIXELS, PIXELS), (0.3, 1.0), interpolation=v2.InterpolationMode.BICUBIC)


@cache
def _distort() -> Any:
    return v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.3, 0.3, 0.3, 0.03)])


def open_picture(path: Path) -> Image.Image:
    """The picture in a file: upright, in RGB, on white where it is transparent."""
    with Image.open(path) as file:
        return on_white(file)


def is_readable(path: Path) -> bool:
    """Whether the file is a picture that can be decoded."""
    try:
        open_picture(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return True


def distorted(pictures: Sequence[Picture], folder: Path, seed: int) -> list[Picture]:
    """A distorted copy of each picture, as a customer's photo might be, written into the folder; the same every time."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for number, each in enumerate(pictures):
            path = folder / f"{number}.png"
            _distort()(_crop()(open_picture(each.path))).save(path)
            made.append(Picture(path, each.product, True))
    return made


def _laid_upon(picture: Image.Image, ground: Image.Image) -> Image.Image | None:
    """The thing in the picture, cut out, turned and scaled, somewhere upon the ground; None if it is on no plain ground."""
    mask = cut_out(picture)
    if mask is None:
        return None
    box = mask.getbbox()
    thing, mask = picture.crop(box), mask.crop(box)
    scale = float(torch.empty(()).uniform_(0.45, 1.1)) * PIXELS / max(thing.size)
    angle = float(torch.empty(()).uniform_(-25, 25))
    size = (max(8, round(thing.width * scale)), max(8, round(thing.height * scale)))
    thing, mask = (each.resize(size).rotate(angle, expand=True) for each in (thing, mask))
    place = [round(float(torch.rand(())) * (PIXELS - length)) for length in thing.size]
    ground.paste(thing, (place[0], place[1]), mask)
    return ground


def cut_out(picture: Image.Image) -> Image.Image | None:
    """A mask of the thing in an RGB picture with a plain bright ground (255 is the thing); None for other pictures."""
    flooded, ground = picture.copy(), (255, 0, 255)
    for corner in ((x, y) for x in (0, picture.width - 1) for y in (0, picture.height - 1)):
        if min(picture.getpixel(corner)) < PLAIN:  # type: ignore[arg-type]
            return None
        ImageDraw.floodfill(flooded, corner, ground, thresh=40)
    mask = (np.asarray(flooded) != ground).any(axis=2)
    return Image.fromarray((mask * 255).astype(np.uint8)) if 0.05 < mask.mean() < 0.95 else None
