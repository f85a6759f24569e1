"""Recorded calls replayed with the real agent and the demo shop: what came of them, and that the shop itself is as it was."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from agent.resources import DEMO_SOURCE, Opened, transcriber_of
from agent.settings import Settings, load_settings
from eval.replay.batch import replay_all, rests_on
from eval.replay.call import Call, Moved, UnreadableCall, Utterance
from eval.replay.compared import changes, read_run
from eval.replay.judging import statements
from eval.replay.readers import find_calls, read_call
from eval.replay.replay import ReplayedCall, replay_call
from eval.replay.spoken import make_calls
from tools.shop.importers import import_shop
from tools.shop.sqlite_shop import SqliteShop

CALLS = Path(__file__).resolve().parents[3] / "eval" / "calls"


@pytest.fixture(scope="module")
def shop_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo shop as it is on its first day."""
    folder = tmp_path_factory.mktemp("imported") / "demo"
    import_shop("jsonl", DEMO_SOURCE, folder, today=date.today())  # noqa: DTZ011
    return folder


@pytest.fixture
def shop(shop_dir: Path) -> Iterator[SqliteShop]:
    with SqliteShop.open(shop_dir) as opened:
        yield opened


def said(*talk: str, customer: str | None = None, **more: object) -> Call:
    """A call in which customer and person speak in turn."""
    utterances = tuple(
        Utterance(speaker="agent" if number % 2 else "customer", text=text) for number, text in enumerate(talk) if text
    )
    return Call.model_validate({"id": "call", "format": "call", "utterances": utterances, "customer": customer, **more})


def sources(replayed: ReplayedCall) -> set[str]:
    return {fact.source for turn in replayed.turns for step in turn.steps for fact in step.facts}


def test_a_yes_to_a_person_moves_money_in_the_copy_and_never_in_the_shop(
    demo: Opened, shop_dir: Path, shop: SqliteShop
) -> None:
    call = said("I want to cancel order 1076", "I can cancel it, shall I?", "yes please", "Done.", customer="c001")
    replayed = replay_call(demo, shop_dir, call)
    assert replayed.outcome == "resolved"
    assert replayed.committed == (Moved(order="1076", kind="refund", cents=8660),)
    assert [turn.tools for turn in replayed.turns] == [("quote_cancellation",), ("commit_quote",)]
    assert shop.ledger.entries() == []
    assert next(order.status for order in shop.orders_of("c001") if order.id == "1076") == "pending"


def test_the_shops_clock_stands_at_the_date_of_the_call(demo: Opened, shop_dir: Path) -> None:
    demo.reindex()
    now = replay_call(demo, shop_dir, said("How many days do I have to return something?", "You can return it within 60 days."))
    then = replay_call(
        demo,
        shop_dir,
        said(
            "How many days do I have to return something?", "You can return it within 14 days.", at="2025-12-10T10:00:00-05:00"
        ),
    )
    assert "clause:RET-1" in sources(now)
    assert "clause:RET-1-2025" in sources(then)
    assert [call.turns[0].departs for call in (now, then)] == ["contradicts", None]


def test_what_only_the_person_named_is_given_when_the_customer_points_back(demo: Opened, shop_dir: Path) -> None:
    talk = ("Good morning", "Is it about order 1057?", "Yes, where is that one?", "It was delivered.")
    replayed = replay_call(demo, shop_dir, said(*talk, customer="c001"))
    assert replayed.turns[1].given == "1057"
    assert "order:1057" in sources(replayed)


def test_an_answer_to_what_only_the_person_asked_leaves_the_quote_waiting(demo: Opened, shop_dir: Path) -> None:
    replayed = replay_call(demo, shop_dir, read_call(CALLS / "zh" / "zh-return.srt", lambda: transcriber_of(load_settings())))
    assert [turn.withheld for turn in replayed.turns] == [False, True, False]
    assert replayed.misses() == []


def test_a_customer_whom_the_shop_does_not_have_is_refused(demo: Opened, shop_dir: Path) -> None:
    with pytest.raises(UnreadableCall, match="c999"):
        replay_call(demo, shop_dir, said("hello", customer="c999"))


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("You can return it within 30 days of delivery.", "supported"),
        ("You can return it within 60 days of delivery.", "contradicted"),
        ("Dogs can stay with us for up to 3 days.", "unsupported"),
        ("I have refunded the 30 dollars.", None),
        ("Shall I cancel it within 3 days?", None),
    ],
)
def test_rules_that_people_state_are_held_against_the_clauses(
    demo: Opened, shop: SqliteShop, sentence: str, verdict: str | None
) -> None:
    found = statements(sentence, "en", date.today(), shop, demo.catalog, [])  # noqa: DTZ011
    assert [each.verdict for each in found] == ([verdict] if verdict else [])


def test_a_run_goes_on_where_it_was_and_one_bad_file_does_not_stop_it(
    demo: Opened, settings: Settings, shop_dir: Path, tmp_path: Path
) -> None:
    files = tmp_path / "calls"
    files.mkdir()
    for name in ("zh-invoice.json", "zh-invoice.call.yaml", "zh-person.txt", "zh-person.call.yaml"):
        shutil.copy(CALLS / "zh" / name, files / name)
    (files / "broken.wav").write_bytes(b"RIFF nothing")
    told: list[tuple[str, str]] = []

    def run(out: Path) -> list[ReplayedCall]:
        told.clear()
        replayed, failed = replay_all(
            demo,
            shop_dir,
            find_calls([files]),
            out,
            settings,
            lambda: transcriber_of(settings),
            tell=lambda *each: told.append(each),
        )
        assert [each.id for each in failed] == ["broken"]
        assert [each.misses() for each in replayed] == [[], []]
        return replayed

    first = run(tmp_path / "out")
    assert ("replayed", "zh-person") in told
    assert run(tmp_path / "out") == first
    assert ("kept", "zh-person") in told
    assert ("replayed", "zh-person") not in told
    (files / "zh-person.call.yaml").write_text("customer: c004\n", encoding="utf-8")
    run(tmp_path / "out")
    assert ("replayed", "zh-person") in told
    assert ("kept", "zh-invoice") in told
    assert changes(read_run(tmp_path / "out"), read_run(tmp_path / "out")) == []


def test_what_a_run_rests_on_changes_with_the_shop_and_the_settings(settings: Settings, shop_dir: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(shop_dir, tmp_path / "shop")
    before = rests_on(changed, settings)
    assert rests_on(shop_dir, settings) == before
    other = settings.model_copy(update={"turn": settings.turn.model_copy(update={"sure": 0.9})})
    assert rests_on(changed, other) != before
    (changed / "policy.yaml").write_text((shop_dir / "policy.yaml").read_text("utf-8") + "\n# more\n", encoding="utf-8")
    assert rests_on(changed, settings) != before


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng speaks the calls")
def test_a_spoken_call_is_heard_and_ends_as_it_should(demo: Opened, settings: Settings, shop_dir: Path, tmp_path: Path) -> None:
    make_calls(CALLS / "spoken.en.yaml", tmp_path)
    replayed = replay_call(demo, shop_dir, read_call(tmp_path / "en-cancel.flac", lambda: transcriber_of(settings)))
    assert replayed.misses() == []
    assert replayed.call.seconds
