"""Training the photo model, with an image tower of a few thousand weights and pictures of colours."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from places import shared_data

from agent.train import photos as training
from agent.train.photos import Base, Course, Exam, Lessons, Plan, Student, learn_data_sets, learn_shop, train
from agent.train.photos_report import write_card
from agent.train.pictures import Picture, Views, captions, cut_out, distorted, read_grocery, read_names
from tools.catalog.photo_encoder import IMAGE_PROJECTION, IMAGE_TOWER, TEXT_PROJECTION, read_trained
from tools.kit.errors import OperatorError
from tools.shop.shop import Shop

COLORS = {"lime": (120, 220, 60), "plum": (110, 30, 90), "carrot": (240, 130, 30), "sky": (90, 160, 240)}
PLAN = Plan(epochs=2, distortions=2, copies=1, products=3, photos=2)
SAID = torch.nn.functional.normalize(torch.randn(4, 2, 3, 384, generator=torch.Generator().manual_seed(4)), dim=-1)


class TinyTower(torch.nn.Module):
    """Seven stages, as the real one has, of one layer each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv_stem = torch.nn.Conv2d(3, 8, 4, stride=64)
        self.bn1 = torch.nn.BatchNorm2d(8)
        self.blocks = torch.nn.Sequential(*(torch.nn.Sequential(torch.nn.Conv2d(8, 8, 1)) for _ in range(7)))
        self.conv_head = torch.nn.Conv2d(8, 1280, 1)
        self.bn2 = torch.nn.BatchNorm2d(1280)
        for parameter in self.parameters():
            # So that colours differ as much in the last stage as in the first.
            torch.nn.init.orthogonal_(parameter) if parameter.ndim > 1 else torch.nn.init.zeros_(parameter)
        for norm in (self.bn1, self.bn2):
            torch.nn.init.ones_(norm.weight)
        self.eval().requires_grad_(False)


def told(_: float, __: str) -> None:
    pass


@pytest.fixture
def tower() -> TinyTower:
    return TinyTower()


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    """Three photos and a catalogue picture of each colour."""
    rng = np.random.default_rng(0)
    made = []
    for name, color in COLORS.items():
        for number in range(4):
            by_customer = number < 3
            noise = rng.integers(-40, 40, (60, 80, 3)) if by_customer else 0
            ground = np.full((60, 80, 3), 255 if not by_customer else 90)
            ground[15:45, 20:60] = color
            path = tmp_path / f"{name}-{number}.png"
            Image.fromarray(np.clip(ground + noise, 0, 255).astype(np.uint8)).save(path)
            made.append(Picture(path, name, by_customer))
    return made


def lessons_and_exam(tower: TinyTower, pictures: Sequence[Picture], kept: Path) -> tuple[Lessons, Exam]:
    views = Views(tower, pictures, range(3), kept, told)
    gallery = Views(tower, [each for each in pictures if not each.by_customer], [0], kept, told)
    asked = Views(tower, [each for each in pictures if each.by_customer], [0], kept, told)
    return Lessons(list(COLORS), SAID, [views]), Exam("colours", asked, gallery, list(COLORS), SAID)


def test_a_thing_on_a_white_ground_is_cut_out() -> None:
    drawn = Image.new("RGB", (100, 80), (250, 250, 248))
    ImageDraw.Draw(drawn).rectangle((30, 20, 69, 59), fill="green")
    mask = cut_out(drawn)
    assert mask is not None
    assert mask.getbbox() == (30, 20, 70, 60)


def test_a_photo_has_no_ground_to_cut_away() -> None:
    noise = np.random.default_rng(1).integers(0, 200, (60, 60, 3), dtype=np.uint8)
    assert cut_out(Image.fromarray(noise)) is None


def test_views_are_computed_once(tower: TinyTower, pictures: list[Picture], tmp_path: Path, monkeypatch: Any) -> None:
    first = Views(tower, pictures, range(3), tmp_path / "kept", told)
    monkeypatch.setattr(Views, "_look", lambda *_: pytest.fail("a view was computed again"))
    again = Views(tower, pictures, range(3), tmp_path / "kept", told)
    assert torch.equal(first.of([0, 5], [2, 1]), again.of([0, 5], [2, 1]))


def test_interrupted_views_go_on_where_they_stopped(
    tower: TinyTower, pictures: list[Picture], tmp_path: Path, monkeypatch: Any
) -> None:
    whole = Views(tower, pictures * 2, range(3), tmp_path / "whole", told)
    looked: list[tuple[int, int]] = []
    look = Views._look

    def count(views: Views, number: int, view: int) -> torch.Tensor:
        if len(looked) == 40 and not (tmp_path / "interrupted").exists():
            (tmp_path / "interrupted").touch()
            raise KeyboardInterrupt
        looked.append((number, view))
        return look(views, number, view)

    monkeypatch.setattr(Views, "_look", count)
    with pytest.raises(KeyboardInterrupt):
        Views(tower, pictures * 2, range(3), tmp_path / "later", told)
    looked.clear()
    later = Views(tower, pictures * 2, range(3), tmp_path / "later", told)
    assert looked[0] == (0, 1), "the first view was whole"
    numbers, views = list(range(32)) * 3, [view for view in range(3) for _ in range(32)]
    assert torch.equal(whole.of(numbers, views), later.of(numbers, views))


def test_a_distorted_copy_is_the_same_every_time(pictures: list[Picture], tmp_path: Path) -> None:
    first, again = (distorted(pictures[:2], tmp_path / name, seed=7) for name in ("a", "b"))
    assert [each.path.read_bytes() for each in first] == [each.path.read_bytes() for each in again]
    assert first[0].product == pictures[0].product


def test_training_finds_more_than_before(tower: TinyTower, pictures: list[Picture], tmp_path: Path) -> None:
    lessons, exam = lessons_and_exam(tower, pictures, tmp_path / "kept")
    student = Student(tower, None, SAID)
    plan = Plan(epochs=40, distortions=2, products=4, photos=3, patience=40, learning_rate=3e-3)
    course = train(student, lessons, [exam], plan, tmp_path / "c.pt", "key", told)
    assert course.best > 0
    assert sum(course.after.values()) > sum(course.before.values()) + 0.3
    assert exam.figures(student) == course.after, "the best epoch is what stays"


def test_interrupted_training_comes_to_the_same(tower: TinyTower, pictures: list[Picture], tmp_path: Path) -> None:
    lessons, exam = lessons_and_exam(tower, pictures, tmp_path / "kept")
    whole = Student(TinyTower(), None, SAID)
    train(whole, lessons, [exam], PLAN, tmp_path / "whole.pt", "key", told)

    def interrupt(share: float, _: str) -> None:
        if share > 0.75:
            raise KeyboardInterrupt

    later = Student(TinyTower(), None, SAID)
    with pytest.raises(KeyboardInterrupt):
        train(later, lessons, [exam], PLAN, tmp_path / "later.pt", "key", interrupt)
    later = Student(TinyTower(), None, SAID)
    shares: list[float] = []
    train(later, lessons, [exam], PLAN, tmp_path / "later.pt", "key", lambda share, _: shares.append(share))
    assert shares[0] > 0.5, "the first epoch was not done again"
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(tensor, later.state_dict()[name])


def test_training_ends_when_nothing_gets_better(
    tower: TinyTower, pictures: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lessons, exam = lessons_and_exam(tower, pictures, tmp_path / "kept")
    monkeypatch.setattr(Exam, "figures", lambda *_: {"colours, nearest picture": 0.5})
    student = Student(tower, None, SAID)
    before = student.image.weight.detach().clone()
    course = train(
        student, lessons, [exam], Plan(epochs=9, distortions=2, products=3, patience=2), tmp_path / "c.pt", "key", told
    )
    assert (course.best, len(course.looks)) == (0, 3)
    assert torch.equal(student.image.weight, before)


class ColourShop:
    """Products of one colour each, with so many pictures."""

    class Product:
        def __init__(self, name: str, pictures: Sequence[str]) -> None:
            self.id, self.pictures = name, pictures
            self.title = self

        def in_language(self, language: str) -> str:
            return f"{self.id} {language}"

    def __init__(self, pictures: Sequence[Picture], count: int) -> None:
        self.folder = pictures[0].path.parent
        self.names = {name: [each.path.name for each in pictures if each.product == name][-count:] for name in COLORS}

    def products(self) -> list[Any]:
        return [self.Product(name, names) for name, names in self.names.items()]

    def picture(self, name: str) -> Path:
        return self.folder / name


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    rows = [np.random.default_rng(sum(map(ord, text))).normal(size=384) for text in texts]
    return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """The tiny tower in the place of the real one, and a model trained before."""
    monkeypatch.setattr(training, "load_tower", lambda *_: TinyTower())
    trained = tmp_path / "trained.safetensors"
    Student(TinyTower(), None, SAID).save(trained, "made for a test")
    return Base(tmp_path / "lite2.pth", trained, embed)


@pytest.mark.parametrize(("count", "how"), [(3, "another picture of the product"), (1, "a distorted copy of the picture")])
def test_a_shops_own_pictures_are_learnt(
    base: Base, pictures: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, how: str
) -> None:
    monkeypatch.setattr(training, "HELD_OUT", 4)
    shop = cast(Shop, ColourShop(pictures, count))
    out = tmp_path / "own.safetensors"
    plan = Plan(epochs=8, distortions=3, products=4, patience=8, learning_rate=3e-3)
    course, held_out = learn_shop(base, shop, plan, out, "storehand train photos", tmp_path / "kept", told)
    assert held_out == how
    assert course.after["held out, nearest picture"] >= course.before["held out, nearest picture"]
    assert out.exists() == bool(course.best)


def test_a_shop_without_pictures_cannot_be_learnt(base: Base, pictures: list[Picture], tmp_path: Path) -> None:
    shop = ColourShop(pictures, 1)
    (shop.folder / shop.names["lime"][0]).write_bytes(b"no picture")
    for name in ("plum", "carrot"):
        shop.names[name] = []
    with pytest.raises(OperatorError, match="1 products of the shop have pictures"):
        learn_shop(base, cast(Shop, shop), PLAN, tmp_path / "own", "", tmp_path / "kept", told)


def test_what_was_learnt_is_written_under_openclips_names(tower: TinyTower, tmp_path: Path) -> None:
    student, out = Student(tower, None, SAID), tmp_path / "deep" / "m.safetensors"
    student.save(out, "storehand train photos")
    tensors = read_trained(out)
    assert {IMAGE_PROJECTION, TEXT_PROJECTION, f"{IMAGE_TOWER}blocks.5.0.weight", f"{IMAGE_TOWER}conv_head.weight"} <= set(
        tensors
    )
    assert not any(name.startswith(f"{IMAGE_TOWER}blocks.4") for name in tensors), "frozen stages are not written"
    again = Student(TinyTower(), out, SAID)
    torch.testing.assert_close(again.text.weight, student.text.weight, atol=1e-3, rtol=1e-3)


def test_the_model_card_tells_what_was_learnt_from_what_and_how(tower: TinyTower, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    Student(tower, None, SAID).save(out, "storehand train photos")
    course = Course([{"clothing, words, en": 0.125}, {"clothing, words, en": 0.875}], best=1)
    grocery, clothing = shared_data("grocery_store"), shared_data("clothing_small")
    card = write_card(out, course, PLAN, "storehand train photos --grocery g", tmp_path / "lite2.pth", grocery, clothing)
    told = card.read_text(encoding="utf-8")
    assert "| clothing, words, en | 12.5% | 87.5% |" in told
    assert "2,640 photos and 81 catalogue pictures" in told
    assert "`storehand train photos --grocery g`" in told


def test_captions_of_different_things_differ_before_training(tower: TinyTower) -> None:
    same = torch.nn.functional.normalize(SAID * 0.2 + torch.ones(384) / math.sqrt(384), dim=-1)
    student = Student(tower, None, same)
    said = torch.nn.functional.normalize(student.text(same[:, 0, 0]), dim=-1).detach()
    assert (same[0, 0, 0] @ same[1, 0, 0]) > 0.9
    assert abs(said[0] @ said[1]) < 0.5


def test_a_class_that_there_is_not_cannot_be_left_out(base: Base, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="Durian"):
        learn_data_sets(base, tmp_path, tmp_path, ["Durian"], PLAN, tmp_path / "o", "", tmp_path / "kept", told)


def test_a_model_without_some_classes_learns_from_groceries_alone(base: Base, pictures: list[Picture], tmp_path: Path) -> None:
    kept = dict(zip(COLORS, ("Lime", "Plum", "Carrots", "Kiwi"), strict=True))
    rows = ["Class Name (str),Class ID (int),Iconic Image Path (str)"]
    rows += [f"{called},{number},/{name}-3.png" for number, (name, called) in enumerate(kept.items())]
    (tmp_path / "classes.csv").write_text("\n".join(rows), encoding="utf-8")
    for listed, photos in (("train.txt", (0, 1)), ("val.txt", (2,))):
        lines = [f"{name}-{photo}.png, {number}, 0" for number, name in enumerate(kept) for photo in photos]
        (tmp_path / listed).write_text("\n".join(lines), encoding="utf-8")
    unseen = ["Kiwi", *(set(read_names()["grocery"]) - set(kept.values()))]
    out = tmp_path / "without.safetensors"
    course = learn_data_sets(base, tmp_path, None, unseen, PLAN, out, "storehand", tmp_path / "kept", told)
    assert set(course.before) == {"grocery, nearest picture", "grocery, words, en", "grocery, words, zh"}
    assert out.exists() == bool(course.best)


def test_every_class_of_the_data_sets_has_names_and_captions() -> None:
    grocery, clothing = shared_data("grocery_store"), shared_data("clothing_small")
    names = read_names()
    assert set(names["grocery"]) == {each.product for each in read_grocery(grocery)}
    assert set(names["clothing"]) == {folder.name for folder in (clothing / "train").iterdir()}
    for classes in names.values():
        for language in ("en", "zh"):
            assert len({called[language] for called in classes.values()}) == len(classes)  # type: ignore[index]
    assert all("酸奶" in caption for caption in captions("酸奶", "zh"))
