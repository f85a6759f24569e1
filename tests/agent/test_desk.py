"""`storehand desk` as staff use it, on a data folder of its own."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from agent.desk import app, open_desk
from agent.handover import HandoverDesk, HeldBySomebodyElse, NoHandover, NotTaken, Packet, Spoken, Tried
from tools.kit.clock import system_clock
from tools.kit.facts import Fact


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HandoverDesk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STOREHAND_DATA_DIR", str(tmp_path / "data"))
    return open_desk()


def run(*arguments: str) -> Result:
    result: Result = CliRunner().invoke(app, list(arguments))
    return result


def done(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.exception
    return str(result.output)


def packet(conversation_id: str = "t1", minutes_ago: int = 12, **values: Any) -> Packet:
    return Packet(
        conversation_id=conversation_id,
        at=system_clock() - timedelta(minutes=minutes_ago),
        **{"why": "asked", "goal": "return the [red]coat[/red]", "customer_id": "c001", "customer_name": "Anna", **values},
    )


def test_an_empty_desk_says_so(desk: HandoverDesk) -> None:
    assert "Nobody waits" in done("list")
    assert json.loads(done("list", "--json")) == []


def test_the_list_tells_who_waits_how_long_and_for_what(desk: HandoverDesk) -> None:
    desk.request(packet("late", 1, customer_id=None, customer_name=None, why="angry", goal="大衣\n太小了 :package:"))
    desk.request(packet("early", 12))
    lines = done("list").splitlines()
    assert lines[0] == "early  waits 12 min, asked for a person"
    assert lines[1] == "  Anna (c001): return the [red]coat[/red]"
    assert lines[2] == "late  waits 1 min, the customer is angry"
    assert lines[3] == "  visitor: 大衣 太小了 :package:"
    listed = json.loads(done("list", "--json"))
    assert [(each["conversation_id"], each["state"], each["why"]) for each in listed] == [
        ("early", "waiting", "asked"),
        ("late", "waiting", "angry"),
    ]


def test_a_hand_over_from_taking_to_giving_back(desk: HandoverDesk) -> None:
    desk.request(packet())
    assert "You hold 't1'" in done("take", "t1", "--staff", "ben")
    desk.hear("t1", "is anybody there?", system_clock())
    assert "held by ben, 1 unanswered" in done("list")
    done("say", "t1", "--staff", "ben", "Yes, [b]I[/b] am.")
    done("give-back", "t1", "--staff", "ben", "--note", "coat may come back")
    assert [(each.speaker, each.text) for each in desk.messages("t1", notes=True)] == [
        ("customer", "is anybody there?"),
        ("staff", "Yes, [b]I[/b] am."),
        ("note", "coat may come back"),
    ]
    assert desk.state("t1") == "none"
    assert "Nobody waits" in done("list")


def test_show_tells_all_that_is_known(desk: HandoverDesk) -> None:
    desk.request(
        packet(
            steps=(Tried(tool="quote_return", arguments={"order": "1042"}, outcome="over the cap"),),
            facts=(Fact(text="Order 1042 arrived.", source="order:1042"),),
            pending_quote={"id": "Q1", "lines": [{"title": {"zh": "大衣"}}]},
            transcript=(Spoken(speaker="customer", text="我要\n退货"), Spoken(speaker="agent", text="One moment.")),
        )
    )
    desk.take("t1", "ben", system_clock())
    desk.say("t1", "ben", "Hello.", system_clock())
    shown = done("show", "t1")
    for part in (
        "t1  held by ben",
        "asked for a person",
        "Anna (c001), verified",
        "return the [red]coat[/red]",
        'quote_return {"order": "1042"} → over the cap',
        "Order 1042 arrived. [order:1042]",
        "id: Q1",
        "大衣",
        "customer: 我要\n  退货",
        "agent: One moment.",
        "ben: Hello.",
    ):
        assert part in shown
    machine = json.loads(done("show", "t1", "--json"))
    assert (machine["state"], machine["staff"]) == ("held", "ben")
    assert Packet.model_validate(machine["packet"]) == desk.packet("t1")
    assert [(each["entry"], each["speaker"], each["text"]) for each in machine["messages"]] == [(1, "staff", "Hello.")]


def test_a_closed_hand_over_can_still_be_read(desk: HandoverDesk) -> None:
    desk.request(packet(customer_id=None, customer_name=None))
    done("close", "t1", "--staff", "ben", "--note", "spam")
    shown = done("show", "t1")
    assert "not handed over" in shown
    assert "visitor, not verified" in shown
    assert "note by ben: spam" in shown
    assert json.loads(done("show", "t1", "--json"))["state"] == "none"


def test_mistakes_are_operator_errors_that_say_what_to_do(desk: HandoverDesk) -> None:
    desk.request(packet())
    assert isinstance(run("say", "t1", "hi", "--staff", "ben").exception, NotTaken)
    done("take", "t1", "--staff", "ben")
    refused = run("take", "t1", "--staff", "cleo").exception
    assert isinstance(refused, HeldBySomebodyElse)
    assert "--instead-of ben" in str(refused)
    done("take", "t1", "--staff", "cleo", "--instead-of", "ben")
    assert isinstance(run("say", "t1", "hi", "--staff", "ben").exception, HeldBySomebodyElse)
    assert isinstance(run("show", "t2").exception, NoHandover)
    assert run("take", "t1").exit_code == 2  # a name is needed
    assert desk.messages("t1") == []


def test_the_desk_lies_in_the_data_folder_and_outlives_the_process(desk: HandoverDesk, tmp_path: Path) -> None:
    desk.request(packet())
    done("take", "t1", "--staff", "ben")
    assert HandoverDesk(tmp_path / "data" / "handovers.sqlite").state("t1") == "held"
