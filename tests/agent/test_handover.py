"""The desk: one writer at a time, nothing lost, nobody forgotten, whatever restarts in between."""

import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from pydantic import ValidationError

from agent.handover import (
    MIGRATIONS,
    DeskUnusable,
    HandoverDesk,
    HeldBySomebodyElse,
    NoHandover,
    NothingToSay,
    NotTaken,
    Packet,
    Spoken,
    Tried,
)
from tools.kit.errors import OperatorError
from tools.kit.facts import Fact

NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
PACKET = Packet(
    conversation_id="t1",
    at=NOON,
    why="over_cap",
    goal="return the coat of order 1042",
    customer_id="c001",
    customer_name="Anna",
    steps=(Tried(tool="quote_return", arguments={"order": "1042", "items": ["coat"]}, outcome="refund over the cap"),),
    facts=(Fact(text="Order 1042 arrived on 1 May.", source="order:1042"),),
    pending_quote={"id": "Q1", "total_cents": 90000, "lines": [{"kind": "item", "title": {"zh": "大衣"}}]},
    transcript=(Spoken(speaker="customer", text="我要退货"), Spoken(speaker="agent", text="A person has to decide this.")),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "handovers.sqlite"


@pytest.fixture
def desk(file: Path) -> HandoverDesk:
    return HandoverDesk(file)


def later(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def about(conversation_id: str, minutes: float = 0, **values: Any) -> Packet:
    return PACKET.model_copy(update={"conversation_id": conversation_id, "at": later(minutes), **values})


def texts(desk: HandoverDesk, after_entry: int = 0, *, notes: bool = False) -> list[tuple[str, str]]:
    return [(each.speaker, each.text) for each in desk.messages("t1", after_entry, notes=notes)]


def test_a_conversation_that_was_never_handed_over_is_in_state_none(desk: HandoverDesk) -> None:
    assert desk.state("t1") == "none"
    assert desk.open() == desk.waiting() == desk.messages("t1") == []
    assert desk.hear("t1", "hello?", NOON) is None
    for refused in (
        lambda: desk.packet("t1"),
        lambda: desk.take("t1", "ben", NOON),
        lambda: desk.say("t1", "ben", "hi", NOON),
        lambda: desk.give_back("t1", "ben", NOON),
        lambda: desk.close("t1", "ben", NOON),
    ):
        with pytest.raises(NoHandover, match=r"'t1' was never passed to a person; 'storehand desk list'"):
            refused()


def test_a_packet_comes_back_as_it_was_given(desk: HandoverDesk) -> None:
    assert desk.request(PACKET) == "waiting"
    assert desk.packet("t1") == PACKET


def test_asking_again_refreshes_the_packet_and_keeps_the_place_in_the_queue(desk: HandoverDesk) -> None:
    desk.request(about("t1"))
    desk.request(about("t2", 1))
    assert desk.request(about("t1", 5, goal="return the coat, and quickly")) == "waiting"
    first, second = desk.waiting()
    assert (first.conversation_id, first.goal, first.waiting_since) == ("t1", "return the coat, and quickly", NOON)
    assert (second.conversation_id, second.waiting_since) == ("t2", later(1))
    assert desk.packet("t1").at == later(5)


def test_asking_again_leaves_a_held_conversation_with_its_holder(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    desk.take("t1", "ben", later(1))
    assert desk.request(about("t1", 2, goal="something new")) == "held"
    assert desk.state("t1") == "held"
    assert desk.packet("t1").goal == "something new"
    desk.say("t1", "ben", "I am here", later(3))


def test_the_queue_is_in_order_of_time_whatever_the_time_zone(desk: HandoverDesk) -> None:
    china = timezone(timedelta(hours=8))
    desk.request(about("t2", 30))
    desk.request(about("t3", at=datetime(2026, 5, 3, 20, 10, tzinfo=china)))  # 12:10 UTC
    desk.request(about("t1", 20))
    desk.take("t1", "ben", later(40))
    assert [each.conversation_id for each in desk.open()] == ["t3", "t1", "t2"]
    assert [each.conversation_id for each in desk.waiting()] == ["t3", "t2"]


def test_while_a_person_holds_it_the_customers_messages_are_kept_and_the_agent_stays_out(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    assert desk.hear("t1", "the agent answers this", later(1)) is None
    assert desk.take("t1", "ben", later(2)) == PACKET
    assert desk.state("t1") == "held"
    heard = desk.hear("t1", "hello?", later(3))
    assert heard is not None
    desk.say("t1", "ben", "Hello, I am Ben.", later(4))
    desk.hear("t1", "你好", later(5))
    assert texts(desk) == [("customer", "hello?"), ("staff", "Hello, I am Ben."), ("customer", "你好")]
    assert texts(desk, after_entry=heard.entry) == [("staff", "Hello, I am Ben."), ("customer", "你好")]
    assert [each.at for each in desk.messages("t1")] == [later(3), later(4), later(5)]
    assert [each.staff for each in desk.messages("t1")] == [None, "ben", None]


def test_messages_stay_in_the_order_in_which_they_came_even_if_a_clock_goes_back(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    desk.take("t1", "ben", NOON)
    for minute, text in ((3, "first"), (1, "second"), (2, "third")):
        desk.say("t1", "ben", text, later(minute))
    assert [text for _, text in texts(desk)] == ["first", "second", "third"]


def test_the_list_tells_how_many_messages_wait_for_an_answer(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    desk.take("t1", "ben", later(1))
    desk.hear("t1", "hello?", later(2))
    desk.hear("t1", "anybody?", later(3))
    assert [each.unanswered for each in desk.open()] == [2]
    desk.say("t1", "ben", "yes", later(4))
    assert [each.unanswered for each in desk.open()] == [0]
    desk.hear("t1", "thanks", later(5))
    desk.give_back("t1", "ben", later(6))
    desk.request(about("t1", 7))
    assert [(each.staff, each.unanswered) for each in desk.open()] == [(None, 0)]


def test_of_two_who_take_it_in_turn_the_second_reads_who_holds_it(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    desk.take("t1", "ben", later(1))
    with pytest.raises(HeldBySomebodyElse, match=r"held by 'ben'.*--instead-of ben") as refused:
        desk.take("t1", "cleo", later(2))
    assert refused.value.holder == "ben"
    assert desk.open()[0].staff == "ben"


def test_taking_what_one_holds_changes_nothing(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    assert desk.take("t1", "ben", later(1)) == desk.take("t1", " ben ", later(2)) == PACKET
    assert [each.staff for each in desk.open()] == ["ben"]


def test_a_colleague_who_is_gone_can_be_replaced_by_name_only(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    desk.take("t1", "ben", later(1))
    desk.take("t1", "cleo", later(2), instead_of="ben")
    with pytest.raises(HeldBySomebodyElse, match="held by 'cleo'"):
        desk.take("t1", "dan", later(3), instead_of="ben")  # dan did not see that cleo was faster
    with pytest.raises(HeldBySomebodyElse, match="held by 'cleo'"):
        desk.say("t1", "ben", "I am back", later(4))
    desk.say("t1", "cleo", "I go on for Ben.", later(5))
    assert texts(desk) == [("staff", "I go on for Ben.")]


def test_of_many_threads_that_take_at_the_same_time_exactly_one_wins(file: Path) -> None:
    desk = HandoverDesk(file)
    names = [f"staff{number}" for number in range(4)]
    for attempt in range(15):
        conversation = f"race{attempt}"
        desk.request(about(conversation))
        start = Barrier(len(names))

        def take(name: str, conversation: str = conversation, start: Barrier = start) -> str | HeldBySomebodyElse:
            start.wait()
            try:
                desk.take(conversation, name, later(1))
            except HeldBySomebodyElse as refused:
                return refused
            return name

        with ThreadPoolExecutor(len(names)) as pool:
            results = list(pool.map(take, names))
        (winner,) = (each for each in results if isinstance(each, str))
        assert {each.holder for each in results if isinstance(each, HeldBySomebodyElse)} == {winner}
        assert next(each.staff for each in desk.open() if each.conversation_id == conversation) == winner


def _take_in_a_process(file: Path, name: str, start: Any, results: Any) -> None:
    start.wait()
    try:
        HandoverDesk(file).take("t1", name, later(1))
        results.put(name)
    except OperatorError as refused:
        results.put(type(refused).__name__)


def test_of_two_processes_that_open_a_desk_and_take_at_the_same_time_one_wins(file: Path) -> None:
    HandoverDesk(file).request(PACKET)
    # "fork" would copy what other tests have loaded, locks and threads included.
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Barrier(2), spawn.Queue()
    processes = [spawn.Process(target=_take_in_a_process, args=(file, name, start, results)) for name in ("ben", "cleo")]
    for process in processes:
        process.start()
    answers = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(timeout=60)
    results.close()
    assert "HeldBySomebodyElse" in answers
    assert len(answers & {"ben", "cleo"}) == 1


def test_a_new_desk_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for attempt in range(10):
        file = tmp_path / f"{attempt}.sqlite"
        start = Barrier(4)

        def open_and_ask(number: int, file: Path = file, start: Barrier = start) -> str:
            start.wait()
            return HandoverDesk(file).request(about(f"t{number}"))

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(open_and_ask, range(4))) == ["waiting"] * 4
        assert len(HandoverDesk(file).waiting()) == 4


def test_messages_of_many_threads_are_all_kept_each_with_an_entry_of_its_own(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    desk.take("t1", "ben", NOON)

    def speak(number: int) -> int:
        if number % 2:
            return desk.say("t1", "ben", str(number), later(1)).entry
        heard = desk.hear("t1", str(number), later(1))
        assert heard is not None
        return heard.entry

    with ThreadPoolExecutor(4) as pool:
        entries = list(pool.map(speak, range(20)))
    kept = desk.messages("t1")
    assert sorted(entries) == [each.entry for each in kept]
    assert {int(each.text) for each in kept} == set(range(20))


def test_nobody_writes_before_taking(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    with pytest.raises(NotTaken, match="take it first: storehand desk take t1 --staff 'Ben B'"):
        desk.say("t1", "Ben B", "hi", NOON)
    with pytest.raises(NotTaken):
        desk.give_back("t1", "ben", NOON)
    assert desk.state("t1") == "waiting"
    assert texts(desk) == []


def test_only_the_holder_writes_gives_back_and_closes(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    desk.take("t1", "ben", NOON)
    for refused in (
        lambda: desk.say("t1", "cleo", "hi", later(1)),
        lambda: desk.give_back("t1", "cleo", later(1), "done"),
        lambda: desk.close("t1", "cleo", later(1), "done"),
    ):
        with pytest.raises(HeldBySomebodyElse, match="held by 'ben'"):
            refused()
    assert desk.state("t1") == "held"
    assert texts(desk, notes=True) == []


def test_after_giving_back_the_agent_answers_and_reads_what_was_said(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    desk.take("t1", "ben", NOON)
    desk.say("t1", "ben", "I made an exception for you.", later(1))
    desk.give_back("t1", "ben", later(2), "refund of 900 promised, label sent")
    assert desk.state("t1") == "none"
    assert desk.open() == []
    assert desk.hear("t1", "thanks", later(3)) is None
    assert texts(desk) == [("staff", "I made an exception for you.")]
    assert texts(desk, notes=True)[-1] == ("note", "refund of 900 promised, label sent")
    assert desk.packet("t1") == PACKET
    with pytest.raises(NoHandover, match="given back to the agent by 'ben'"):
        desk.say("t1", "ben", "one more thing", later(4))
    with pytest.raises(NoHandover, match="given back"):
        desk.take("t1", "cleo", later(4))


def test_a_conversation_can_be_handed_over_again_and_waits_anew(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    desk.take("t1", "ben", NOON)
    said = desk.say("t1", "ben", "first time", later(1))
    desk.give_back("t1", "ben", later(2))
    assert desk.request(about("t1", 60, why="angry")) == "waiting"
    (again,) = desk.waiting()
    assert (again.waiting_since, again.staff, again.why) == (later(60), None, "angry")
    desk.take("t1", "cleo", later(61))
    desk.say("t1", "cleo", "second time", later(62))
    assert texts(desk, after_entry=said.entry) == [("staff", "second time")]


def test_anybody_closes_what_nobody_took(desk: HandoverDesk) -> None:
    desk.request(PACKET)
    desk.close("t1", "ben", later(1), "solved by the agent meanwhile")
    assert desk.state("t1") == "none"
    assert texts(desk, notes=True) == [("note", "solved by the agent meanwhile")]
    with pytest.raises(NoHandover, match="closed by 'ben'"):
        desk.close("t1", "cleo", later(2))


def test_everything_survives_a_restart(file: Path) -> None:
    before = HandoverDesk(file)
    before.request(PACKET)
    before.request(about("t2", 1))
    before.take("t1", "ben", later(2))
    before.hear("t1", "hello?", later(3))
    before.say("t1", "ben", "yes", later(4))
    after = HandoverDesk(file)
    assert after.open() == before.open()
    assert (after.state("t1"), after.state("t2")) == ("held", "waiting")
    assert after.packet("t1") == PACKET
    assert after.messages("t1") == before.messages("t1")
    with pytest.raises(HeldBySomebodyElse):
        after.take("t1", "cleo", later(5))
    after.say("t1", "ben", "still here", later(6))


def test_a_transaction_that_is_cut_off_leaves_the_state_before_it(desk: HandoverDesk, file: Path) -> None:
    desk.request(PACKET)
    with closing(sqlite3.connect(file, isolation_level=None)) as crashing:
        crashing.execute("BEGIN IMMEDIATE")
        crashing.execute("UPDATE handovers SET state = 'held', staff = 'ghost'")
    assert HandoverDesk(file).state("t1") == "waiting"
    desk.take("t1", "ben", later(1))


def test_texts_lose_what_would_cut_them_short_or_steer_a_terminal(desk: HandoverDesk) -> None:
    desk.request(
        about(
            "t1\0",
            goal="re\0turn\x1b[2J",
            steps=(Tried(tool="t", arguments={"a\0": ["b\0", {"c": "d\x1b"}], "n": 1}, outcome="\ud800ok"),),
            pending_quote={"id": "Q\0"},
        )
    )
    packet = desk.packet("t1")
    assert packet.goal == "return[2J"
    assert packet.steps == (Tried(tool="t", arguments={"a": ["b", {"c": "d"}], "n": 1}, outcome="ok"),)
    assert packet.pending_quote == {"id": "Q"}
    desk.take("t1", "be\0n", NOON)
    desk.say("t1", "ben", "one\r\ntwo\0\x07 👩‍👧", NOON)
    desk.hear("t1", "a\0b\udcff", NOON)
    assert texts(desk) == [("staff", "one\ntwo 👩‍👧"), ("customer", "ab")]


def test_values_that_are_no_json_are_kept_as_text(desk: HandoverDesk) -> None:
    desk.request(about("t1", steps=(Tried(tool="t", arguments={"on": NOON, "by": Path("x"), "s": {1}}, outcome=""),)))
    assert desk.packet("t1").steps[0].arguments == {"on": "2026-05-03T12:00:00Z", "by": "x", "s": [1]}


@pytest.mark.parametrize("text", ["", " \n", "\0"])
def test_an_empty_message_or_name_is_refused(desk: HandoverDesk, text: str) -> None:
    desk.request(PACKET)
    with pytest.raises(NothingToSay, match="name"):
        desk.take("t1", text, NOON)
    desk.take("t1", "ben", NOON)
    with pytest.raises(NothingToSay, match="no text"):
        desk.say("t1", "ben", text, NOON)
    desk.give_back("t1", "ben", NOON, text)
    assert texts(desk, notes=True) == []


def test_names_and_ids_are_values_and_never_sql(desk: HandoverDesk) -> None:
    odd = "x' OR '1'='1"
    desk.request(PACKET)
    assert desk.state(odd) == "none"
    desk.request(about(odd))
    desk.take(odd, "Robert'); DROP TABLE handovers;--", NOON)
    assert (desk.state("t1"), desk.state(odd)) == ("waiting", "held")


def test_times_without_a_zone_are_refused(desk: HandoverDesk) -> None:
    with pytest.raises(ValidationError):
        Packet(conversation_id="t1", at=datetime(2026, 5, 3), why="asked", goal="")  # noqa: DTZ001
    desk.request(PACKET)
    with pytest.raises(ValueError, match="no time zone"):
        desk.take("t1", "ben", datetime(2026, 5, 3))  # noqa: DTZ001
    assert desk.state("t1") == "waiting"


def test_a_file_that_is_no_desk_is_one_clear_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"this is not a database" * 100)
    with pytest.raises(DeskUnusable, match=r"broken\.sqlite.*move it away"):
        HandoverDesk(broken)
    with pytest.raises(DeskUnusable, match="cannot be used"):
        HandoverDesk(broken / "handovers.sqlite")
    newer = tmp_path / "newer.sqlite"
    HandoverDesk(newer)
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(DeskUnusable, match="newer Storehand"):
        HandoverDesk(newer)


def test_a_file_that_vanished_is_an_error_and_not_an_empty_desk(desk: HandoverDesk, file: Path) -> None:
    desk.request(PACKET)
    file.unlink()
    # Nobody knows now whether a person holds the conversation: "none" would let two write.
    with pytest.raises(DeskUnusable):
        desk.state("t1")
