"""The review list: what is worth a label, in which order, kept how long and how privately; and what labels come to."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from demo_copy import DemoCopy
from rich.console import Console
from typer.testing import CliRunner

from agent import labels, terminal
from agent.chooser.evidence import Evidence
from agent.chooser.situation import Situation
from agent.decide import TOOLS
from agent.events import Turn
from agent.examples import REPLY, Talk, read_examples
from agent.labelling import LABEL_KEYS, NAMES, app, label_each, labels_folder, open_review
from agent.models.scripted import Scripted
from agent.review import Noted, ReviewList, ReviewUnusable, Wish, informativeness, uncertainty
from agent.session import Session
from agent.settings import ReviewSettings, TurnSettings
from agent.turn import Message
from tools.kit.clock import system_clock

NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
UNSURE = {"track_order": 0.5, "quote_return": 0.4, "reply": 0.1}
SURE = {"track_order": 0.98, "quote_return": 0.01, "reply": 0.01}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "review.sqlite"


@pytest.fixture
def review(file: Path) -> ReviewList:
    return ReviewList(file, ReviewSettings(unsure_below=0.6, keep_days=90))


def noted(said: str = "my parcel?", shares: dict[str, float] = UNSURE, **more: Any) -> Noted:
    wish = Wish(said=said, shares=shares, talk="unclear", sure=next(iter(shares.values())))
    return Noted(**{"language": "en", "wishes": (wish,), "done": ("track_order",), **more})


def said_on(review: ReviewList, now: datetime = NOON) -> list[str]:
    return [entry.said for entry in review.entries(now)]


def test_a_turn_that_was_sure_and_done_is_not_on_the_list(review: ReviewList) -> None:
    review.note("a", noted(shares=SURE), NOON)
    assert review.entries(NOON) == []


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        (noted(), "unsure"),
        (noted(shares=SURE, asked=("track_order", "quote_return")), "asked_back"),
        (noted(shares=SURE, handed_over=True), "handed_over"),
    ],
)
def test_a_turn_is_on_the_list_for_a_reason(review: ReviewList, turn: Noted, reason: str) -> None:
    review.note("a", turn, NOON)
    (entry,) = review.entries(NOON)
    assert entry.reasons == (reason,)
    assert (entry.said, entry.language, entry.before, entry.photo, entry.times) == ("my parcel?", "en", None, False, 1)


def test_a_correction_flags_the_turn_before_it_and_no_other_conversation(review: ReviewList) -> None:
    review.note("a", noted("send it back", SURE, before="order"), NOON)
    review.note("b", noted("size 9?", SURE), NOON)
    review.note("a", noted("no, I meant the mug", SURE, corrects=True), NOON)
    (entry,) = review.entries(NOON)
    assert (entry.said, entry.before, entry.reasons) == ("send it back", "order", ("corrected",))


def test_a_correction_as_a_first_message_flags_nothing(review: ReviewList) -> None:
    review.note("a", noted("no, I meant the mug", SURE, corrects=True), NOON)
    assert review.entries(NOON) == []


def test_what_a_person_answered_is_not_corrected_or_rated(review: ReviewList) -> None:
    review.note("a", noted("send it back", SURE), NOON)
    review.leave("a")
    review.note("a", noted("no, I meant the mug", SURE, corrects=True), NOON)
    assert review.entries(NOON) == []


def test_the_same_sentence_is_one_entry_that_counts(review: ReviewList) -> None:
    review.note("a", noted("Where's order 1042?"), NOON)
    review.note("b", noted("wheres  ORDER 2077", asked=("track_order", "reply")), NOON + timedelta(days=1))
    # Sure by now; it counts, because it is on the list.
    review.note("c", noted("wheres order 3!!", SURE), NOON + timedelta(days=2))
    (entry,) = review.entries(NOON)
    assert (entry.times, entry.reasons) == (3, ("unsure", "asked_back"))
    assert (entry.first_at, entry.last_at) == (NOON, NOON + timedelta(days=2))
    assert entry.shares == SURE


def test_another_situation_is_another_entry(review: ReviewList) -> None:
    for turn in (noted(), noted(before="shown"), noted(photo=True), noted(language="zh")):
        review.note("a", turn, NOON)
    assert len(review.entries(NOON)) == 4


def test_a_turn_flagged_several_times_is_counted_once(review: ReviewList) -> None:
    review.note("a", noted("send it back", SURE), NOON)
    assert review.rate("a", "down", "", NOON)
    assert review.rate("a", "down", "wrong thing", NOON)
    review.note("a", noted("no, I meant the mug", SURE, corrects=True), NOON)
    (entry,) = review.entries(NOON)
    assert (entry.times, entry.reasons, entry.comment) == (1, ("corrected", "thumbs_down"), "wrong thing")


def test_the_list_begins_with_what_is_most_unsure_and_most_frequent(review: ReviewList) -> None:
    review.note("a", noted("rare and hard", {"track_order": 0.4, "reply": 0.4}), NOON)
    for number in range(3):
        review.note(f"b{number}", noted("frequent and hard"), NOON)
    review.note("c", noted("rare", {"track_order": 0.55, "reply": 0.3}), NOON)
    review.note("d", noted("told wrong", SURE), NOON)
    review.rate("d", "down", "", NOON)
    review.note("d", noted("no, I meant", SURE, corrects=True), NOON)
    assert said_on(review) == ["frequent and hard", "told wrong", "rare and hard", "rare"]


def test_informativeness_is_uncertainty_times_frequency() -> None:
    assert uncertainty({"track_order": 1.0}) == 0
    assert uncertainty({"reply": 0.5, "track_order": 0.5}) == 1
    assert uncertainty({}) == 1
    assert informativeness(UNSURE, ("unsure",), 4) == pytest.approx(4 * 0.9)
    assert informativeness(UNSURE, ("corrected",), 1) > informativeness(UNSURE, ("thumbs_down",), 1) > uncertainty(UNSURE)


PRIVATE = ["jane@example.com", "+44 20 7946 0958", "4111 1111 1111 1111"]


def test_nothing_private_is_in_the_file(review: ReviewList, file: Path) -> None:
    review.note("a", noted(f"mail {PRIVATE[0]}, call {PRIVATE[1]}"), NOON)
    review.rate("a", "down", f"my card is {PRIVATE[2]}", NOON)
    address = {"quote_address_change": 0.5, "quote_order_change": 0.4}
    review.note("b", noted("I moved to 12 Birch Lane, Portland", address), NOON)
    review.note("c", noted("地址改成上海市浦东新区张杨路500号", address, language="zh"), NOON)
    assert said_on(review) == ["mail [email], call [phone]"]
    with closing(sqlite3.connect(file)) as connection:
        everything = "\n".join(connection.iterdump())
    assert "[card]" in everything
    for private in (*PRIVATE, "Birch", "张杨路"):
        assert private not in everything


def test_a_message_without_words_is_no_sentence(review: ReviewList) -> None:
    review.note("a", noted("?? 👍"), NOON)
    review.note("b", Noted(language="en"), NOON)
    assert review.entries(NOON) == []


def test_what_nobody_writes_any_more_is_forgotten(review: ReviewList, file: Path) -> None:
    review.note("a", noted("old one"), NOON)
    review.rate("a", "down", "too old", NOON)
    review.note("b", noted("old and new"), NOON)
    later = NOON + timedelta(days=60)
    review.note("b", noted("old and new"), later)
    assert len(review.entries(NOON + timedelta(days=90))) == 2
    assert said_on(review, NOON + timedelta(days=91)) == ["old and new"]
    review.note("c", noted("another"), NOON + timedelta(days=91))
    with closing(sqlite3.connect(file)) as connection:
        assert "old one" not in (everything := "\n".join(connection.iterdump()))
        assert "too old" not in everything
    assert not review.rate("a", "up", "", NOON + timedelta(days=91))
    assert review.thumbs() == {"up": 0, "down": 1}


def test_thumbs_are_counted_one_a_turn(review: ReviewList) -> None:
    assert not review.rate("a", "up", "", NOON)
    review.note("a", noted(shares=SURE), NOON)
    assert review.rate("a", "down", "", NOON)
    assert review.rate("a", "up", "a slip", NOON)
    review.note("a", noted(shares=SURE), NOON + timedelta(minutes=1))
    assert review.rate("a", "up", "", NOON + timedelta(minutes=2))
    assert review.thumbs() == {"up": 2, "down": 0}
    assert review.thumbs(NOON + timedelta(minutes=1)) == {"up": 1, "down": 0}


def test_a_turn_without_a_choice_can_be_rated_and_is_not_on_the_list(review: ReviewList) -> None:
    review.note("a", Noted(language="zh", done=("commit_quote",)), NOON)
    assert review.rate("a", "down", "", NOON)
    assert review.thumbs() == {"up": 0, "down": 1}
    assert review.entries(NOON) == []


def test_what_the_customer_picked_stands_with_the_question(review: ReviewList) -> None:
    review.note("a", noted(asked=("track_order", "quote_return"), done=()), NOON)
    review.note("a", Noted(language="en", done=("quote_return",), picked="quote_return"), NOON)
    (entry,) = review.entries(NOON)
    assert entry.done == "asked: track_order or quote_return; the customer chose quote_return"


def test_a_label_is_an_example_and_the_sentence_leaves_the_list(review: ReviewList, tmp_path: Path) -> None:
    review.note("a", noted("the blue one?", before="shown", photo=True), NOON)
    review.note("b", noted("谢啦", language="zh"), NOON)
    review.note("c", noted("about my parcel"), NOON)
    ids = {entry.said: entry.id for entry in review.entries(NOON)}
    review.label(ids["the blue one?"], ["search_products"], tmp_path)
    review.label(ids["谢啦"], ["reply:thanks"], tmp_path)
    review.label(ids["about my parcel"], ["track_order", "reply:unclear"], tmp_path)
    assert review.entries(NOON) == []
    english, chinese = (read_examples(tmp_path / f"{language}-own.jsonl") for language in ("en", "zh"))
    assert [(each.tools, each.before, each.photo, each.talk) for each in (*english, *chinese)] == [
        (("search_products",), "shown", True, None),
        (("track_order", "reply"), None, False, "unclear"),
        (("reply",), None, False, "thanks"),
    ]
    assert [Situation.of(each).language for each in labels.own_examples(tmp_path)] == ["en", "en", "zh"]
    # Whoever writes it again is not asked about: the label is there.
    review.note("d", noted("about my parcel"), NOON)
    assert review.entries(NOON) == []


@pytest.mark.parametrize(
    "tools", [["refund"], ["reply"], ["reply:hm"], ["track_order:x"], [""], ["reply:thanks", "reply:agree"]]
)
def test_a_label_that_says_nothing_changes_nothing(review: ReviewList, tmp_path: Path, tools: list[str]) -> None:
    review.note("a", noted(), NOON)
    with pytest.raises(labels.BadLabel):
        review.label(review.entries(NOON)[0].id, tools, tmp_path / "labels")
    assert len(review.entries(NOON)) == 1
    assert labels.own_examples(tmp_path / "labels") == []


def test_a_label_that_cannot_be_written_leaves_the_sentence_on_the_list(review: ReviewList, tmp_path: Path) -> None:
    review.note("a", noted(), NOON)
    blocked = tmp_path / "labels"
    blocked.write_text("in the way")
    with pytest.raises(labels.OperatorError, match="cannot be written"):
        review.label(review.entries(NOON)[0].id, ["track_order"], blocked)
    assert len(review.entries(NOON)) == 1


def test_an_undone_label_is_out_of_the_file_and_the_one_before_stays(review: ReviewList, tmp_path: Path) -> None:
    for text in ("one", "two"):
        review.note(text, noted(text), NOON)
    for entry in (entries := sorted(review.entries(NOON), key=lambda each: each.id)):
        review.label(entry.id, ["track_order"], tmp_path)
    review.undo(entries[1].id, tmp_path)
    assert said_on(review) == ["two"]
    assert [each.say for each in labels.own_examples(tmp_path)] == ["one"]


def test_a_file_that_is_no_list_is_one_clear_error(tmp_path: Path) -> None:
    broken = tmp_path / "review.sqlite"
    broken.write_bytes(b"this is not a database" * 100)
    with pytest.raises(ReviewUnusable, match=r"review\.sqlite.*move it away"):
        ReviewList(broken)


# The command.


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReviewList:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STOREHAND_DATA_DIR", str(tmp_path / "data"))
    return open_review()


def done(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.exception
    return str(result.output)


def keys(pressed: str) -> Callable[[], str]:
    left: Iterator[str] = iter(pressed)
    return lambda: next(left, "")


def test_every_tool_and_every_small_talk_has_a_key_of_its_own() -> None:
    talks = [f"{REPLY}:{kind}" for kind in Talk.__args__]  # type: ignore[attr-defined]
    assert sorted(LABEL_KEYS.values()) == sorted([*(tool.name for tool in TOOLS), *talks])
    assert set(LABEL_KEYS) == set(NAMES)
    assert not set(LABEL_KEYS) & set("sxuqw123")


def test_one_key_a_sentence(command: ReviewList) -> None:
    now = system_clock()
    for text in ("first [b]", "second", "third", "fourth", "fifth", "sixth"):
        command.note(text, noted(text), now)
    folder = labels_folder()
    entries = sorted(command.entries(now), key=lambda each: each.id)
    # An unknown key asks again; "u" takes back what the key before did; the end of the input stops.
    label_each(command, folder, entries, keys("?1Tuhswx"))
    assert [(each.say, each.tools) for each in labels.own_examples(folder)] == [
        ("first [b]", ("track_order",)),
        ("second", ("hand_to_human",)),
        ("fourth", ("track_order", "quote_return")),
    ]
    assert sorted(said_on(command, now)) == ["sixth", "third"]


def test_who_undoes_a_skipped_sentence_gets_it_again(command: ReviewList) -> None:
    now = system_clock()
    command.note("a", noted("only"), now)
    label_each(command, labels_folder(), command.entries(now), keys("usutq"))
    assert [each.say for each in labels.own_examples(labels_folder())] == ["only"] * 0
    label_each(command, labels_folder(), command.entries(now), keys("t"))
    assert [each.say for each in labels.own_examples(labels_folder())] == ["only"]


def test_a_sentence_that_a_colleague_labelled_meanwhile_is_passed_over(command: ReviewList) -> None:
    now = system_clock()
    for text in ("one", "two"):
        command.note(text, noted(text), now)
    entries = sorted(command.entries(now), key=lambda each: each.id)
    command.drop(entries[0].id)
    label_each(command, labels_folder(), entries, keys("tt"))
    assert [each.say for each in labels.own_examples(labels_folder())] == ["two"]


def test_the_list_for_people_and_for_programs(command: ReviewList) -> None:
    assert "Nothing waits" in done("list")
    assert "Nothing waits" in done()
    command.note("a", noted("where [red]is[/red] it"), system_clock())
    assert done("list").splitlines() == [
        "1  where [red]is[/red] it",
        "  unsure; 1 time, last today; track_order; likeliest: track_order 50%, quote_return 40%, reply:unclear 10%",
    ]
    (entry,) = json.loads(done("list", "--json"))
    assert entry["shares"] == UNSURE
    assert entry["informativeness"] == pytest.approx(0.9)
    assert "→ track_order" in done("label", "1", "track_order")
    assert json.loads(done("list", "--json")) == []
    command.note("a", noted("another"), system_clock())
    done("drop", "2")
    assert "Nothing waits" in done("list")
    assert "was labelled" in str(CliRunner().invoke(app, ["label", "1", "track_order"]).exception)
    assert "no sentence 9" in str(CliRunner().invoke(app, ["drop", "9"]).exception)


# The agent.


class Says:
    """A chooser with one opinion of every sentence."""

    def __init__(self, shares: dict[str, float]) -> None:
        self.shares = shares

    def look_up(self, said: str, language: str, *, before: str | None, photo: bool) -> Evidence:
        return Evidence(self.shares, "thanks")


@pytest.fixture
def talk(copy: DemoCopy, review: ReviewList) -> Callable[..., Turn]:
    chooser = Says(SURE)
    agent = copy.agent(Scripted(replies=[]), chooser=chooser, review=review, settings=TurnSettings(sure=0.4))

    def say(text: str, shares: dict[str, float] = SURE, *, thumb: str = "", reason: str = "") -> Turn:
        chooser.shares = shares
        *_, turn = agent.answer(Session("t", "c001"), Message(text))
        if thumb:
            assert agent.rate(Session("t", "c001"), thumb, reason)  # type: ignore[arg-type]
        return turn  # type: ignore[return-value]

    return say


def test_thumbs_in_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rated:
        thumbs: tuple[Any, ...] = ()

        def from_staff(self, session: Session, after_entry: int) -> list[Any]:
            return []

        def rate(self, session: Session, thumb: str, reason: str) -> bool:
            self.thumbs = (*self.thumbs, (session.conversation_id, thumb, reason))
            return thumb == "down"

    agent, typed = Rated(), iter(["/down  not what I [b]asked[/b] ", "/up", "/quit"])
    console = Console(file=StringIO(), width=200)
    monkeypatch.setattr(console, "input", lambda _: next(typed))
    terminal.talk(agent, Session("t"), console)  # type: ignore[arg-type]
    assert agent.thumbs == (("t", "down", "not what I [b]asked[/b]"), ("t", "up", ""))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "/down [reason]" in shown
    assert shown.index("that is noted") < shown.index("no answer of the shop's")


@pytest.mark.real
def test_an_agents_turns_come_to_the_list(talk: Callable[..., Turn], review: ReviewList, copy: DemoCopy) -> None:
    talk("where is my parcel")
    assert review.entries(copy.clock()) == []
    talk("hm, my parcel", {"track_order": 0.5, "quote_return": 0.3, "reply": 0.2})
    talk("the parcel or so", {"track_order": 0.35, "quote_return": 0.33, "reply": 0.32})
    entries = {entry.said: entry for entry in review.entries(copy.clock())}
    assert entries["hm, my parcel"].reasons == ("unsure",)
    assert (entries["hm, my parcel"].before, entries["hm, my parcel"].done) == ("order", "track_order")
    assert entries["the parcel or so"].reasons == ("unsure", "asked_back")
    talk("the second one")
    talk("no, that's not what I asked")
    talk("thanks", {"reply": 1.0}, thumb="down", reason="mail me at jane@example.com")
    entries = {entry.said: entry for entry in review.entries(copy.clock())}
    assert "the customer chose quote_return" in entries["the parcel or so"].done
    assert (entries["thanks"].reasons, entries["thanks"].comment) == (("thumbs_down",), "mail me at [email]")
    assert review.thumbs() == {"up": 0, "down": 1}


@pytest.mark.real
def test_a_correction_in_the_conversation_flags_the_turn_before(
    talk: Callable[..., Turn], review: ReviewList, copy: DemoCopy
) -> None:
    talk("where is my parcel")
    talk("no, I meant the return", {"quote_return": 0.99, "track_order": 0.01})
    assert [(entry.said, entry.reasons) for entry in review.entries(copy.clock())] == [("where is my parcel", ("corrected",))]


@pytest.mark.real
def test_a_list_that_cannot_be_written_costs_nobody_the_answer(
    talk: Callable[..., Turn], review: ReviewList, file: Path
) -> None:
    file.unlink()
    turn = talk("where is my parcel", UNSURE)
    assert turn.reply
    assert any("not kept for review" in line for line in turn.why)
