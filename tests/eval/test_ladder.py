"""The ladder of ways to choose: counted by language, and drawn."""

from xml.etree import ElementTree

import pytest

from eval.choose import Case
from eval.ladder import climb, draw_rungs

CASES = [
    Case(say="where is it", language="en", tools=("track_order",)),
    Case(say="hi", language="en", tools=(None,)),
    Case(say="到哪了", language="zh", tools=("track_order",)),
]


def test_each_way_is_counted_by_language_and_drawn_with_its_name() -> None:
    ways = {
        "always track": lambda _: "track_order",
        "model & examples": lambda case: None if case.say == "hi" else "track_order",
    }
    results = dict(climb(ways, CASES))
    assert results["always track"]["by_language"] == {"en": 0.5, "zh": 1.0}
    assert results["always track"]["accuracy"] == pytest.approx(2 / 3)
    assert results["model & examples"]["accuracy"] == 1
    drawn = draw_rungs(results, len(CASES))
    texts = [each.text for each in ElementTree.fromstring(drawn).iter() if each.tag.endswith("text")]
    assert {"always track", "model & examples", "50.0% en", "100.0% zh"} <= set(texts)
