"""The curve of accuracy against labels spent, on sentences so few that it is measured in a second."""

import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from agent.examples import Example
from eval.choose import Case
from eval.labels import INFORMATIVE, RANDOM, Floats, draw_curves, first_writers, measure_labels
from tools.kit.errors import OperatorError

TOOLS = {"track_order": "where is my {}", "quote_return": "send the {} back", "search_products": "do you sell a {}"}
THINGS = ("mug", "coat", "lamp", "tent", "rug", "kettle", "belt", "scarf")


class Letters:
    """A text encoder without weights: counts of hashed words."""

    def queries(self, texts: Sequence[str]) -> Floats:
        vectors = np.zeros((len(texts), 32), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.split():
                row[zlib.crc32(word.encode()) % 32] += 1
        return vectors / np.maximum(1, np.linalg.norm(vectors, axis=1, keepdims=True))


def examples() -> list[Example]:
    # The first writer knows two of the tools only; what the pool teaches is the third.
    known = [
        Example(say=TOOLS[tool].format(thing), tool=tool, writer="en-1")
        for tool in ("track_order", "quote_return")
        for thing in THINGS
    ]
    pool = [Example(say=said.format(thing), tool=tool, writer="en-2") for tool, said in TOOLS.items() for thing in THINGS]
    return [*known, *pool, Example(say="thanks a lot", tool="reply", talk="thanks", writer="en-2")]


CASES = [
    *(Case(say=said.format("pan"), language="en", tools=(tool,)) for tool, said in TOOLS.items()),
    Case(say="thanks a lot", language="en", tools=(None,)),
    Case(say="the second one", language="en", tools=("search_products",), before=("show me mugs",)),
]


def test_both_curves_begin_and_end_alike_and_learn() -> None:
    told: list[float] = []
    result = measure_labels(
        Letters(), examples(), CASES, steps=(0, 4, 8, 9999), seeds=2, tell=lambda share, _: told.append(share)
    )
    assert result["start"] == {"writers": ["en-1"], "sentences": 16}
    assert (result["pool"], result["cases"]) == (25, 4)  # a case with earlier messages is no case here
    informed, drawn = result["curves"][INFORMATIVE], result["curves"][RANDOM]
    assert [point["labels"] for point in informed] == [point["labels"] for point in drawn] == [0, 4, 8, 25]
    assert informed[0] == drawn[0]
    assert informed[-1] == drawn[-1]
    assert informed[0]["accuracy"] == 0.5
    assert informed[-1]["accuracy"] == informed[-1]["accuracy_en"] == 1
    assert all(point["least"] <= point["accuracy"] <= point["most"] for point in drawn[1:-1])
    assert told == sorted(told)


def test_the_unsure_are_labelled_first() -> None:
    # What the model never saw is what it is least sure of: four labels suffice where chance takes more.
    result = measure_labels(Letters(), examples(), CASES, steps=(4,), seeds=5)
    informed, drawn = (result["curves"][name][1]["accuracy"] for name in (INFORMATIVE, RANDOM))
    assert informed >= drawn


def test_one_writer_alone_leaves_nothing_to_label() -> None:
    alone = [example for example in examples() if example.writer == "en-1"]
    with pytest.raises(OperatorError, match="two writers"):
        measure_labels(Letters(), alone, CASES)
    with pytest.raises(OperatorError, match="nothing to measure"):
        measure_labels(Letters(), examples(), CASES[-1:])


def test_the_first_writer_of_each_language_is_told_by_number() -> None:
    writers = ("zh-2", "en-10", "en-2", "zh-3")
    assert first_writers([Example(say="x", tool="reply", writer=writer) for writer in writers]) == {"en-2", "zh-2"}


def test_the_picture_holds_both_curves_in_its_frame() -> None:
    result = measure_labels(Letters(), examples(), CASES, steps=(4, 8), seeds=2)
    picture = ElementTree.fromstring(draw_curves(result))
    space = "{http://www.w3.org/2000/svg}"
    lines = picture.findall(f"{space}polyline")
    assert len(lines) == 2
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    for line in lines:
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert len(points) == 4
        assert all(0 < x < width and 0 < y < height for x, y in points)
    texts = [text.text for text in picture.findall(f"{space}text")]
    assert {INFORMATIVE, RANDOM, "25"} <= set(texts)
