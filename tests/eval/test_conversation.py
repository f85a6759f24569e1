"""Conversations on a copy of the shop: what they change is told, and taken back by a reset."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from rich.console import Console

from agent.events import Turn
from agent.resources import shop_folder
from agent.settings import Settings
from agent.turn import Message
from eval.conversation import Place, apart, converse, state_of

pytestmark = pytest.mark.real  # the encoders and the demo shop are the real ones

QUIET = Console(stderr=True, quiet=True)


class Says:
    """Says these, whatever is answered."""

    def __init__(self, *said: str | Exception) -> None:
        self._left = iter(said)

    def next(self, turn: Turn | None) -> Message | None:
        said = next(self._left, None)
        if isinstance(said, Exception):
            raise said
        return None if said is None else Message(said)


@pytest.fixture(scope="module")
def place(settings: Settings) -> Iterator[Place]:
    with apart(settings, shop_folder(settings, "demo", QUIET), lambda: datetime.now(UTC), QUIET) as made:
        yield made


def test_a_conversation_tells_what_it_changed_and_a_reset_takes_it_back(settings: Settings, place: Place) -> None:
    untouched = state_of(shop_folder(settings, "demo", QUIET))
    for _ in range(2):
        told = converse(place, place.session("c001"), Says("cancel order 1076", "yes"), max_turns=5)
        assert (told.ended, told.error, len(told.turns)) == ("customer", None, 2)
        assert told.turns[0].turn.quote is not None
        assert told.before["orders"]["1076"]["status"] == "pending"
        assert told.after["orders"]["1076"]["status"] == "cancelled"
        assert [each["kind"] for each in told.after["done"]] == ["cancellation"]
        assert told.after["records"] == told.before["records"]
        place.reset()
        assert state_of(place.folder) == told.before == untouched
    assert place.shop.ledger.entries() == []


def test_an_earlier_conversation_is_not_known_to_the_next(place: Place) -> None:
    converse(place, place.session("c001"), Says("cancel order 1076"), max_turns=1)
    told = converse(place, place.session("c001"), Says("yes"), max_turns=1)
    assert told.ended == "max_turns"
    assert told.after == told.before


@pytest.mark.parametrize("broken", ["customer", "agent"])
def test_what_breaks_is_told_with_what_was_said_before(place: Place, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: Sequence[str | Exception] = ["hello", KeyError("goal")] if broken == "customer" else ["hello"]
    if broken == "agent":
        monkeypatch.setattr(type(place.agent), "answer", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    told = converse(place, place.session(None), Says(*said), max_turns=5)
    assert told.ended == f"{broken}_failed"
    assert told.error == ("KeyError: 'goal'" if broken == "customer" else "OSError: disk full")
    assert len(told.turns) == (1 if broken == "customer" else 0)
