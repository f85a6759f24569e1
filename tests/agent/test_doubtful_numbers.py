"""A spoken order number that may have been misheard is asked about before anything depends on it."""

from collections.abc import Callable

import pytest
from demo_copy import DemoCopy

from agent.answers import doubtful_order, settled
from agent.events import Turn
from agent.models.scripted import Scripted
from agent.session import Doubt, Session
from agent.turn import Message
from tools.transcribe_speech import Transcript

pytestmark = pytest.mark.real  # the demo shop with the real encoders


class Hearing:
    """Hears what it is told to, and doubts its numbers."""

    def __init__(self, text: str, *doubtful: str) -> None:
        self._transcript = Transcript(text, "en", "en", 2.0, 3.0, 0.4, doubtful=doubtful)

    def transcribe(self, recording: bytes, hints: object) -> Transcript:
        return self._transcript


Say = Callable[..., Turn]


@pytest.fixture
def say(copy: DemoCopy) -> Say:
    agents = {}

    def say_it(text: str = "", *, heard: Hearing | None = None) -> Turn:
        def transcriber() -> Hearing | None:
            return agents["heard"]

        agents["heard"] = heard
        if "agent" not in agents:
            agents["agent"] = copy.agent(Scripted(replies=[]), transcriber=transcriber)
        *_, turn = agents["agent"].answer(Session("t", "c001"), Message(text, voice=b"sound" if heard else None))
        assert isinstance(turn, Turn)
        return turn

    return say_it


def own_order(copy: DemoCopy) -> str:
    return copy.shop.orders_of("c001")[0].id


def test_a_doubtful_number_is_asked_about_and_looked_up_after_a_yes(say: Say, copy: DemoCopy) -> None:
    asked = say(heard=Hearing("where is my order 9217", "9217"))
    assert [step.tool for step in asked.steps] == ["transcribe_speech"]
    assert "9 2 1 7" in asked.reply
    answered = say("yes")
    assert answered.said == "where is my order 9217"
    assert [step.tool for step in answered.steps] == ["track_order"]
    assert [fact.source for fact in answered.steps[0].facts] == ["orders"], "there is no such order of hers"


def test_a_corrected_number_takes_the_place_of_the_one_misheard(say: Say, copy: DemoCopy) -> None:
    say(heard=Hearing("where is my order 9217", "9217"))
    right = own_order(copy)
    turn = say(f"no, it's {right}")
    assert {fact.source for fact in turn.steps[0].facts} == {f"order:{right}"}


def test_a_doubtful_number_that_is_the_customers_own_order_needs_no_question(say: Say, copy: DemoCopy) -> None:
    own = own_order(copy)
    turn = say(heard=Hearing(f"where is my order {own}", own))
    assert turn.steps[-1].tool == "track_order"
    assert {fact.source for fact in turn.steps[-1].facts} == {f"order:{own}"}


def test_a_number_that_names_no_order_is_not_asked_about() -> None:
    assert doubtful_order("I am 1785 metres up", ["1785"], []) is None
    assert doubtful_order("4217", ["4217"], []) == "4217"


@pytest.mark.parametrize(
    ("answer", "stands_for"),
    [
        ("yes, that's right", "where is 4217"),
        ("no, 4 2 1 9", "where is 4219"),
        ("不对，是4219", "where is 4219"),
        ("do you have tents?", "do you have tents?"),
    ],
)
def test_an_answer_confirms_or_corrects_the_number(answer: str, stands_for: str) -> None:
    assert settled(Doubt("4217", "where is 4217"), answer) == stands_for
