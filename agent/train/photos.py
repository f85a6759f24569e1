"""Trains the embedded photo model: the last stages of its image tower, and the projections into one space with texts.

Pictures of one product are drawn together and apart from all others, as are pictures and the captions of their product. Sources:
Khosla et al. 2020, arXiv:2004.11362 (supervised contrast); Zhai and Wu 2019, arXiv:1811.12649 (a learnt centre for each product);
Radford et al. 2021, arXiv:2103.00020 (captions).
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy, normalize

from agent.train.pictures import (
    BATCH,
    WHOLE,
    Picture,
    Tell,
    Tensor,
    Views,
    caption_vectors,
    cut_out,
    distorted,
    is_readable,
    open_picture,
    read_clothing,
    read_grocery,
    read_names,
)
from tools.catalog.photo_encoder import (
    FEATURE,
    FROZEN_STAGES,
    IMAGE_PROJECTION,
    IMAGE_TOWER,
    SCALE,
    SHARED,
    TEXT_PROJECTION,
    load_tower,
    read_trained,
)
from tools.kit.errors import OperatorError
from tools.shop.shop import Shop
from tools.shop.types import LANGUAGES, Language

WARM_UP = 0.06
SMOOTHING = 0.05
PROJECTION_RATE, TEXT_RATE, CENTRE_RATE, SCALE_RATE = 2e-3, 2e-4, 2e-3, 1e-2
CONTRAST = 16.0
"""Inverse temperature of the contrast between pictures."""
HELD_OUT = 20
"""So many products with several pictures are enough to tell by them whether training helped."""
MOST_PRODUCTS = 2000
"""Of a larger shop, products spread over all are learnt from: more would take hours."""


@dataclass(frozen=True)
class Plan:
    """What decides the result, besides the pictures."""

    epochs: int = 5
    distortions: int = 2
    """Views of each picture beside the whole."""
    copies: int = 4
    """How often a catalogue picture is distorted for each time that a photo is: there are few of them."""
    products: int = 16
    """In one batch."""
    photos: int = 3
    """Of each product in one batch, beside one of its catalogue pictures."""
    learning_rate: float = 3e-4
    patience: int = 3
    """Epochs without a better figure on what is held out, after which training stops."""
    seed: int = 0


class Student(torch.nn.Module):
    """What learns of the model. Reads what the frozen stages made of pictures; batch norms keep their statistics."""

    def __init__(self, tower: Any, trained: Path | None, captions: Tensor) -> None:
        """Start from `trained`, or, without it, from the tower as it is and from projections that know nothing yet."""
        super().__init__()
        self.blocks, self.conv_head, self.bn2 = tower.blocks[FROZEN_STAGES:], tower.conv_head, tower.bn2
        self.image = torch.nn.Linear(FEATURE, SHARED, bias=False)
        self.text = torch.nn.Linear(SHARED, SHARED, bias=False)
        self.scale = torch.nn.Parameter(torch.tensor(math.log(20.0)))
        if trained is None:
            # Texts of e5 all point one way; without it, captions of different things are different from the start.
            same = normalize(captions.reshape(-1, SHARED).mean(0), dim=0)
            with torch.no_grad():
                self.text.weight.copy_(torch.eye(SHARED) - torch.outer(same, same))
        else:
            tensors = read_trained(trained)
            with torch.no_grad():
                self.image.weight.copy_(tensors[IMAGE_PROJECTION])
                self.text.weight.copy_(tensors[TEXT_PROJECTION])
                self.scale.copy_(tensors[SCALE])
        self.eval().requires_grad_(True)

    def pooled(self, activations: Tensor) -> Tensor:
        """The feature, shape (n, 1280), of any length."""
        feature: Tensor = self.bn2(self.conv_head(self.blocks(activations))).mean((2, 3))
        return feature

    def tower(self) -> Iterator[torch.nn.Parameter]:
        """The weights of the image tower that learn."""
        for part in (self.blocks, self.conv_head, self.bn2):
            yield from part.parameters()

    def save(self, out: Path, command: str) -> None:
        """Write what was learnt, in half precision, under OpenCLIP's names."""
        tower = {"conv_head": self.conv_head, "bn2": self.bn2}
        tower |= {f"blocks.{FROZEN_STAGES + number}": stage for number, stage in enumerate(self.blocks)}
        tensors = {
            f"{IMAGE_TOWER}{part}.{name}": tensor
            for part, module in tower.items()
            for name, tensor in module.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        tensors |= {IMAGE_PROJECTION: self.image.weight, TEXT_PROJECTION: self.text.weight, SCALE: self.scale}
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_suffix(".partial")
        save_file(
            {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}, partial, {"command": command}
        )
        partial.chmod(0o644)  # safetensors writes 0600
        partial.replace(out)


@dataclass(frozen=True)
class Lessons:
    """What is learnt: pictures as the frozen stages see them, and the captions of their products.

    `captions` has the shape (products, languages, captions, 384). Pictures of products that are not listed are left alone.
    """

    products: Sequence[str]
    captions: Tensor
    sources: Sequence[Views]

    def by_product(self) -> list[dict[bool, list[tuple[int, int]]]]:
        """For each product its customers' photos (True) and its own pictures (False): (source, number in the source)."""
        found: dict[str, dict[bool, list[tuple[int, int]]]] = {product: {True: [], False: []} for product in self.products}
        for source, views in enumerate(self.sources):
            for number, picture in enumerate(views.pictures):
                if picture.product in found:
                    found[picture.product][picture.by_customer].append((source, number))
        return list(found.values())

    def of(self, drawn: Sequence[tuple[int, int]], views: Sequence[int]) -> Tensor:
        """The activations of drawn pictures, one view of each."""
        rows = [self.sources[source].of([number], [view]) for (source, number), view in zip(drawn, views, strict=True)]
        return torch.cat(rows).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Exam:
    """Pictures that nobody learnt from, to be found among the products' own pictures, and among captions where there are any."""

    name: str
    asked: Views
    gallery: Views | None
    products: Sequence[str]
    captions: Tensor | None

    def figures(self, student: Student) -> dict[str, float]:
        """The share found first: by nearest picture, and by words in each language."""
        with torch.inference_mode():
            asked = _features(student, self.asked)
            right = np.array([self.products.index(picture.product) for picture in self.asked.pictures])
            found = {}
            if self.gallery is not None:
                owners = np.array([self.products.index(picture.product) for picture in self.gallery.pictures])
                nearest = (asked @ normalize(_features(student, self.gallery), dim=1).T).argmax(1).numpy()
                found["nearest picture"] = owners[nearest] == right
            if self.captions is not None:
                shown = student.image(asked)
                for place, language in enumerate(LANGUAGES):
                    said = normalize(normalize(student.text(self.captions[:, place]), dim=-1).mean(1), dim=-1)
                    found[f"words, {language}"] = (shown @ said.T).argmax(1).numpy() == right
        return {f"{self.name}, {how}": float(each.mean()) for how, each in found.items()}


def _features(student: Student, views: Views) -> Tensor:
    """The features of the whole pictures, shape (pictures, 1280); their middles, which the agent sees too, would double the time."""
    starts = range(0, len(views), BATCH)
    numbers = [range(start, min(start + BATCH, len(views))) for start in starts]
    return torch.cat([student.pooled(views.of(each, [WHOLE] * len(each))) for each in numbers])


@dataclass
class Course:
    """How far training has come. `looks` holds the figures before the first epoch and after each; `best` is the epoch kept."""

    looks: list[dict[str, float]]
    best: int = 0

    @property
    def before(self) -> dict[str, float]:
        """The figures of what training started from."""
        return self.looks[0]

    @property
    def after(self) -> dict[str, float]:
        """The figures of what is kept."""
        return self.looks[self.best]


def train(
    student: Student, lessons: Lessons, exams: Sequence[Exam], plan: Plan, checkpoint: Path, key: str, tell: Tell
) -> Course:
    """Teach the student, and leave it as it was after its best epoch: that with the highest mean of the exams' figures.

    Ends early when `plan.patience` epochs in a row were no better. Interrupted, it goes on at the last whole epoch in `checkpoint`,
    if that was begun with the same `key`, which names everything that decides the result.
    """
    torch.manual_seed(plan.seed)
    members = lessons.by_product()
    if len(members) < 2:
        raise OperatorError(f"{len(members)} products with pictures are too few to learn to tell them apart.")
    plan_products = min(plan.products, len(members))
    centres = torch.nn.Parameter(_centres(student, lessons, members))
    sharpness = torch.nn.Parameter(torch.tensor(math.log(20.0)))
    tower = list(student.tower())
    optimizer = torch.optim.AdamW(
        [
            {"params": tower, "peak": plan.learning_rate},
            {"params": student.image.parameters(), "peak": PROJECTION_RATE},
            {"params": student.text.parameters(), "peak": TEXT_RATE, "weight_decay": 0.0},
            {"params": [centres], "peak": CENTRE_RATE, "weight_decay": 0.0},
            {"params": [sharpness, student.scale], "peak": SCALE_RATE, "weight_decay": 0.0},
        ],
        lr=0.0,
        weight_decay=0.02,
    )
    photos = sum(len(each[True]) or len(each[False]) for each in members)
    per_epoch = max(1, math.ceil(photos / (plan_products * plan.photos)))
    steps = per_epoch * plan.epochs
    state: dict[str, Any] = {"student": student, "optimizer": optimizer}
    kept = torch.load(checkpoint, weights_only=True) if checkpoint.exists() else {}
    if kept.get("key") == key:
        for name, part in state.items():
            part.load_state_dict(kept[name])
        with torch.no_grad():
            centres.copy_(kept["centres"])
            sharpness.copy_(kept["sharpness"])
        course, best = Course(kept["looks"], kept["best"]), kept["best_student"]
    else:
        tell(0.0, "looking at what is held out")
        course, best = Course([_look(student, exams)]), _copy(student)
    for epoch in range(len(course.looks) - 1, plan.epochs):
        if epoch - course.best >= plan.patience:
            break
        rng = np.random.default_rng((plan.seed, epoch))
        torch.manual_seed(plan.seed * 1000 + epoch)
        for number in range(per_epoch):
            step = epoch * per_epoch + number
            pace = min(1.0, (step + 1) / (WARM_UP * steps)) * max(0.02, 0.5 * (1 + math.cos(math.pi * step / steps)))
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * pace
            chosen = rng.choice(len(members), plan_products, replace=False)
            drawn = [_draw(members[product], plan.photos, rng) for product in chosen]
            right = torch.tensor([int(product) for product, its in zip(chosen, drawn, strict=True) for _ in its])
            flat = [each for its in drawn for each in its]
            activations = lessons.of(flat, rng.integers(0, 1 + plan.distortions, len(flat)).tolist())
            pick = torch.from_numpy(rng.integers(0, lessons.captions.shape[2], (len(members), len(LANGUAGES))))
            loss = _loss(student, activations, right, centres, sharpness, lessons.captions, pick)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(tower, 1.0)
            optimizer.step()
            tell((step + 1) / steps, f"epoch {epoch + 1} of {plan.epochs}, loss {loss.item():.2f}")
        course.looks.append(_look(student, exams))
        if _score(course.looks[-1]) > _score(course.after):
            course.best, best = epoch + 1, _copy(student)
        partial = checkpoint.with_suffix(".partial")
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        states = {name: part.state_dict() for name, part in state.items()}
        facts = {"key": key, "looks": course.looks, "best": course.best, "best_student": best}
        torch.save({**states, **facts, "centres": centres.detach(), "sharpness": sharpness.detach()}, partial)
        partial.replace(checkpoint)
    student.load_state_dict(best)
    return course


def _copy(student: Student) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in student.state_dict().items()}


def _look(student: Student, exams: Sequence[Exam]) -> dict[str, float]:
    return {name: figure for exam in exams for name, figure in exam.figures(student).items()}


def _score(figures: Mapping[str, float]) -> float:
    return sum(figures.values()) / len(figures)


def _centres(student: Student, lessons: Lessons, members: Sequence[Mapping[bool, Sequence[tuple[int, int]]]]) -> Tensor:
    """Where each product begins: the mean of some of its pictures' features, shape (products, 1280)."""
    with torch.no_grad():
        means = []
        for its in members:
            some = [*its[True][:: max(1, len(its[True]) // 6)][:6], *its[False][:1]]
            means.append(normalize(normalize(student.pooled(lessons.of(some, [WHOLE] * len(some))), dim=1).mean(0), dim=0))
        return torch.stack(means)


def _draw(its: Mapping[bool, Sequence[tuple[int, int]]], photos: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Photos of one product and one of its catalogue pictures; of one kind alone where it has only that."""
    counts = {True: photos, False: 1} if its[True] and its[False] else {bool(its[True]): photos + 1}
    return [
        its[kind][number]
        for kind, count in counts.items()
        for number in rng.choice(len(its[kind]), count, replace=len(its[kind]) < count)
    ]


def _loss(
    student: Student, activations: Tensor, right: Tensor, centres: Tensor, sharpness: Tensor, said: Tensor, pick: Tensor
) -> Tensor:
    """How far the batch's pictures are from their products' centres, from each other, and from their products' captions."""
    pooled = student.pooled(activations)
    features = normalize(pooled, dim=1)
    loss = cross_entropy(sharpness.exp() * features @ normalize(centres, dim=1).T, right, label_smoothing=SMOOTHING)
    itself = torch.eye(len(right), dtype=torch.bool)
    alike = (right[:, None] == right[None, :]) & ~itself
    contrast = (CONTRAST * features @ features.T).masked_fill(itself, -1e4).log_softmax(1)
    loss = loss - ((contrast * alike).sum(1) / alike.sum(1)).mean()
    shown = normalize(student.image(pooled), dim=1)
    for place in range(said.shape[1]):
        texts = normalize(student.text(said[torch.arange(len(said)), place, pick[:, place]]), dim=1)
        by_words = cross_entropy(student.scale.exp() * shown @ texts.T, right, label_smoothing=SMOOTHING)
        loss = loss + by_words / said.shape[1]
    return loss


@dataclass(frozen=True)
class Base:
    """What training starts from: the image tower's weights, what was trained of them before (or None), and the text tower."""

    pth: Path
    trained: Path | None
    embed: Callable[[Sequence[str]], NDArray[np.float32]]


def learn_data_sets(
    base: Base,
    grocery: Path,
    clothing: Path | None,
    unseen: Sequence[str],
    plan: Plan,
    out: Path,
    command: str,
    cache: Path,
    tell: Tell,
) -> Course:
    """Train on the training photos of both data sets, choose the epoch on their validation photos, and write `out`.

    Without `clothing`, on the groceries alone. Products named in `unseen` are left out of all of it. `cache` keeps what the frozen
    stages make of pictures (2 GB at six views) and the last whole epoch. Raises OperatorError for a class that there is not, or
    if the data sets are not there.
    """
    names = {which: _without(classes, unseen) for which, classes in read_names().items() if which == "grocery" or clothing}
    if unknown := set(unseen) - set(read_names()["grocery"]):
        raise OperatorError(f"no class '{sorted(unknown)[0]}' in the Grocery Store Dataset; its classes.csv names them.")
    tower = load_tower(base.pth, base.trained)
    pictures = read_grocery(grocery)
    photos = [each for each in pictures if each.by_customer] + (read_clothing(clothing / "train") if clothing else [])
    own = [each for each in pictures if not each.by_customer and each.product not in unseen]
    asked = [each for each in read_grocery(grocery, "val.txt") if each.by_customer and each.product not in unseen]
    grounds = [photo for photo in photos if photo.product not in unseen]
    by_photo = Views(tower, photos, range(1 + plan.distortions), cache, _part(tell, 0.0, 0.4))
    by_picture = Views(
        tower, own * plan.copies, range(1 + plan.distortions), cache, _part(tell, 0.4, 0.45), backgrounds=grounds
    )
    said = {which: caption_vectors(list(classes.values()), base.embed) for which, classes in names.items()}
    gallery = Views(tower, own, [WHOLE], cache, _part(tell, 0.45, 0.46))
    shown = Views(tower, asked, [WHOLE], cache, _part(tell, 0.46, 0.48))
    exams = [Exam("grocery", shown, gallery, [*names["grocery"]], said["grocery"])]
    if clothing:
        worn = Views(tower, read_clothing(clothing / "validation"), [WHOLE], cache, _part(tell, 0.48, 0.5))
        exams.append(Exam("clothing", worn, None, [*names["clothing"]], said["clothing"]))
    lessons = Lessons(
        [name for classes in names.values() for name in classes], torch.cat([*said.values()]), [by_photo, by_picture]
    )
    return _learn(base, tower, lessons, exams, plan, out, command, cache, _part(tell, 0.5, 1.0))


def learn_shop(base: Base, shop: Shop, plan: Plan, out: Path, command: str, cache: Path, tell: Tell) -> tuple[Course, str]:
    """Go on training with a shop's own pictures and titles; write `out` if that finds more of what is held out.

    Held out are the last pictures of products that have several; where fewer than HELD_OUT have, distorted copies. Returns the course
    and which of the two it was. Raises OperatorError where there are fewer than two products with pictures.
    """
    products = {product.id: product for product in shop.products()}
    by_product = {each: [Picture(shop.picture(name), each, False) for name in products[each].pictures] for each in products}
    by_product = {
        each: readable for each, its in by_product.items() if (readable := [it for it in its if is_readable(it.path)])
    }
    by_product = dict([*by_product.items()][:: max(1, math.ceil(len(by_product) / MOST_PRODUCTS))])
    if len(by_product) < 2:
        raise OperatorError(f"{len(by_product)} products of the shop have pictures; it takes two to learn to tell them apart.")
    several = [its for its in by_product.values() if len(its) > 1]
    tower = load_tower(base.pth, base.trained)
    if len(several) >= HELD_OUT:
        asked, how = [its[-1] for its in several], "another picture of the product"
        own = [it for its in by_product.values() for it in (its[:-1] if len(its) > 1 else its)]
    else:
        own, how = [it for its in by_product.values() for it in its], "a distorted copy of the picture"
        asked = distorted(own, cache / "distorted", plan.seed)
    titles = [[products[each].title.in_language(language) for language in LANGUAGES] for each in by_product]
    said = torch.from_numpy(base.embed([title for each in titles for title in each])).reshape(
        len(titles), len(LANGUAGES), 1, SHARED
    )
    grounds = [each for each in own if cut_out(open_picture(each.path)) is None]
    views = Views(tower, own, range(1 + plan.distortions), cache, _part(tell, 0.0, 0.4), backgrounds=grounds)
    gallery = Views(tower, own, [WHOLE], cache, _part(tell, 0.4, 0.45))
    exam = Exam("held out", Views(tower, asked, [WHOLE], cache, _part(tell, 0.45, 0.5)), gallery, [*by_product], None)
    lessons = Lessons([*by_product], said, [views])
    return _learn(base, tower, lessons, [exam], plan, out, command, cache, _part(tell, 0.5, 1.0)), how


def _learn(
    base: Base,
    tower: Any,
    lessons: Lessons,
    exams: Sequence[Exam],
    plan: Plan,
    out: Path,
    command: str,
    cache: Path,
    tell: Tell,
) -> Course:
    student = Student(tower, base.trained, lessons.captions)
    started = base.trained.read_bytes() if base.trained else b""
    what = f"{plan} {lessons.products} {[views.key for views in lessons.sources]} {hashlib.sha256(started).hexdigest()}"
    key = hashlib.sha256(what.encode()).hexdigest()[:16]
    course = train(student, lessons, exams, plan, cache / f"{key}.pt", key, tell)
    if course.best:
        student.save(out, command)
    return course


def _without(classes: Mapping[str, Mapping[Language, str]], unseen: Sequence[str]) -> dict[str, Mapping[Language, str]]:
    return {name: called for name, called in classes.items() if name not in unseen}


def _part(tell: Tell, start: float, end: float) -> Tell:
    return lambda share, what: tell(start + share * (end - start), what)
