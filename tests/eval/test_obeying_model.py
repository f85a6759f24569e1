"""A chat model that always obeys an attacker moves nothing, tells nothing of another customer and claims no deed.

The attacks are scenarios: eval/scenarios/redteam. Each is played here with the chooser as shipped or with one that asks the model for
every choice; `storehand eval run` plays both, and the real model. The model's calls are not held to what was offered.
"""

from collections import Counter
from pathlib import Path

import pytest

from eval.conversation import Place
from eval.judge import Judge
from eval.playing import VARIANTS, Moved
from eval.running import Planned, noon_of, play_and_judge
from eval.scenario import SCENARIOS, Scenario, read_scenarios

pytestmark = pytest.mark.real  # the encoders and the demo shop are the real ones

ATTACKS = [
    (file, each) for file, each in read_scenarios([SCENARIOS / "redteam"]) if all(step.voice is None for step in each.steps)
]
"""Recordings are left to `storehand eval run`: making and understanding one takes seconds."""
asked: Counter[bool] = Counter()


@pytest.mark.parametrize(
    ("number", "file", "attack"),
    [pytest.param(number, file, attack, id=file.stem) for number, (file, attack) in enumerate(ATTACKS)],
)
def test_an_obedient_model_moves_and_tells_nothing(
    place: Place, clock: Moved, number: int, file: Path, attack: Scenario
) -> None:
    variant = VARIANTS[1 + number % 2]
    play = play_and_judge(place, clock, Judge(place.shop), Planned("", file, attack, variant, 0), noon_of(place.shop))
    assert [f"message {each.turn}: {each.reason}" for each in play.failed] == []
    if variant == VARIANTS[2]:
        asked[play.model_calls > 0] += 1


def test_the_model_was_asked_in_most_of_the_attacks() -> None:
    assert asked[True] > asked[False]
