"""What code tells of a person's answer, and where the agent's parts from it."""

from decimal import Decimal

import pytest

from eval.replay.judging import claims_in, contradiction, departure, is_small_talk


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("within 30 days of delivery", "days", 30),
        ("within thirty days", "days", 30),
        ("two weeks", "days", 14),
        ("the last 6 months", "days", 180),
        ("5 to 7 business days", "working days", 5),
        ("收货后十五天内可以退货", "days", 15),
        ("3 个工作日内到账", "working days", 3),
        ("it costs $6.90", "money", "6.90"),
        ("6 dollars", "money", 6),
        ("满75美元免运费", "money", 75),
        ("20% off", "percent", 20),
        ("百分之十", "percent", 10),
    ],
)
def test_sums_periods_and_shares_are_read_in_both_languages(text: str, kind: str, value: object) -> None:
    assert claims_in(text).get(kind) == {Decimal(str(value))}


@pytest.mark.parametrize(
    ("human", "agent"),
    [
        ("You can return it within 60 days.", "You can return most items within 30 days of delivery."),
        (
            "Yes, underwear can be returned, even when the pack is opened.",
            "Underwear cannot be returned once the pack is opened.",
        ),
        ("可以退货的，十五天之内。", "签收后 30 天内可以退货。"),
    ],
)
def test_answers_that_cannot_both_be_true_are_told(human: str, agent: str) -> None:
    assert contradiction(human, agent)


@pytest.mark.parametrize(
    ("human", "agent"),
    [
        ("You have thirty days.", "You can return most items within 30 days of delivery."),
        ("It arrives on Tuesday.", "Order 1066 is with UPS and is expected on 24 November."),
        ("We take $6.90 for the label.", "You can return most items within 30 days of delivery."),
    ],
)
def test_answers_that_say_different_things_do_not_contradict_each_other(human: str, agent: str) -> None:
    assert contradiction(human, agent) is None


def parts(human: str, agent: str, **did: bool) -> str | None:
    found = departure(human, agent, **{"asks": False, "unknown": False, "handed_over": False, **did})
    return found[0] if found else None


def test_every_way_to_part_is_told_apart() -> None:
    told = "You can return it within 30 days."
    assert parts("You can return it within 30 days.", told) is None
    assert parts("You can return it within 60 days.", told) == "contradicts"
    assert parts("Dogs are welcome.", "Our rules do not cover that.", unknown=True) == "does not know"
    assert parts("It is on its way.", "A colleague takes over.", handed_over=True) == "hands over"
    assert parts("I will put you through to my supervisor.", told) == "goes on"
    assert parts("I will put you through to my supervisor.", "A colleague takes over.", handed_over=True) is None
    assert parts("It is on its way.", "Which order?", asks=True) == "asks first"
    assert parts("Which order is it?", "Which order?", asks=True) is None
    assert parts("May I have your name please?", told) == "answers at once"


@pytest.mark.parametrize("text", ["You're welcome, bye!", "One moment please.", "好的，请稍等。", "不客气，再见！"])
def test_small_talk_is_no_answer_to_part_from(text: str) -> None:
    assert is_small_talk(text)
    assert parts(text, "Which order?", asks=True) is None
