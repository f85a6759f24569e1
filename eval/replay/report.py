"""Writes what a run of replayed calls shows: report.html for people, report.json and junit.xml for programs, drafts.jsonl for
the shop."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as xml

from markupsafe import Markup

from agent.answers import wish_label
from eval.replay.batch import Failed
from eval.replay.overall import Missing, Overall, topic_of
from eval.replay.replay import ReplayedCall, ReplayedTurn
from eval.report_html import Kind, Line, Value, badge, bar_chart, conversation, figures, fold, page, section, table
from tools.shop.types import format_money

WITHHELD = "(not told: this answers the person's question, and the quote above waits for a yes)"
OUTCOMES: dict[str, tuple[str, Kind]] = {
    "resolved": ("resolved", "good"),
    "handed_over": ("handed over", "warn"),
    "open": ("left open", "bad"),
}


def write_report(
    out: Path, shop: str, calls: Sequence[ReplayedCall], failed: Sequence[Failed], summed: Overall, made: datetime
) -> Path:
    """Write all four files into `out`; returns the HTML's path."""
    whole = {
        "shop": shop,
        "made": made.isoformat(),
        "overall": summed.model_dump(mode="json"),
        "calls": [{**call.model_dump(mode="json"), "misses": call.misses()} for call in calls],
        "failed": [each.model_dump() for each in failed],
    }
    (out / "report.json").write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    _write_junit(out / "junit.xml", calls, failed)
    drafts = [json.dumps(each.as_clause(number), ensure_ascii=False) for number, each in enumerate(summed.missing, start=1)]
    (out / "drafts.jsonl").write_text("".join(f"{line}\n" for line in drafts), encoding="utf-8")
    html = out / "report.html"
    html.write_text(_html(shop, calls, failed, summed, made), encoding="utf-8")
    return html


def _write_junit(file: Path, calls: Sequence[ReplayedCall], failed: Sequence[Failed]) -> None:
    """A test case a call: an error where it could not be replayed, a failure where it did not end as expected."""
    wrong = [call for call in calls if call.misses()]
    suite = xml.Element(
        "testsuite",
        name="storehand replay",
        tests=str(len(calls) + len(failed)),
        failures=str(len(wrong)),
        errors=str(len(failed)),
        time=f"{sum(call.agent_seconds for call in calls):.3f}",
    )
    for call in calls:
        case = xml.SubElement(
            suite, "testcase", classname="replay", name=_printable(call.call.id), time=f"{call.agent_seconds:.3f}"
        )
        if misses := call.misses():
            xml.SubElement(case, "failure", message=_printable(misses[0])).text = _printable("\n".join(misses))
    for each in failed:
        case = xml.SubElement(suite, "testcase", classname="replay", name=_printable(each.id))
        xml.SubElement(case, "error", message=_printable(each.why))
    xml.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)


def _printable(text: str) -> str:
    """Text as XML may hold it."""
    return "".join(character for character in text if character.isprintable() or character in "\n\t")


def _html(shop: str, calls: Sequence[ReplayedCall], failed: Sequence[Failed], summed: Overall, made: datetime) -> str:
    ended = {label: summed.outcomes.get(name, 0) for name, (label, _) in OUTCOMES.items()}
    tiles: dict[str, Value] = {
        "calls replayed": summed.calls,
        "resolved": _share(ended["resolved"], summed.calls),
        "handed over": _share(ended["handed over"], summed.calls),
        "left open": _share(ended["left open"], summed.calls),
        "answers that contradict": summed.contradictions,
        "rules stated without a clause": summed.statements.get("unsupported", 0) + summed.statements.get("contradicted", 0),
    }
    if summed.known:
        tiles["ended as expected"] = f"{summed.right} of {summed.known}"
    if summed.call_seconds:
        tiles["time on the telephone"] = _minutes(summed.call_seconds)
        tiles["time of the agent's answers"] = _minutes(summed.agent_seconds)
        tiles["saved on resolved calls"] = _minutes(summed.saved_seconds)
    topics = {
        topic: {label: float(ended.get(name, 0)) for name, (label, _) in OUTCOMES.items()}
        for topic, ended in summed.topics.items()
    }
    parts: list[Markup] = [
        figures(tiles),
        section("What customers wanted", bar_chart("Calls by first wish, and how they ended", topics)),
    ]
    if summed.departures:
        parts.append(
            section(
                "Where the agent parts from people",
                bar_chart("Calls by how the agent's answer first differs", {k: float(v) for k, v in summed.departures.items()}),
                note="contradicts: its facts say otherwise · does not know: no clause answers it · hands over: the person went on · "
                "goes on: the person passed the customer on · asks first: it asks where the person answered · "
                "answers at once: the other way round",
            )
        )
    parts += [*_disagreements(calls), *_missing(summed.missing), _overview(calls)]
    if failed:
        parts.append(section("Not replayed", table(["call", "why"], [[each.id, each.why] for each in failed])))
    parts.append(
        section(
            "Every call",
            *(_call(call) for call in calls),
            note="The customer's words as they were recorded; a yes agrees to the quote before it.",
        )
    )
    lead = f"{summed.turns} turns of {summed.calls} recorded calls, answered by the agent of {shop} on a copy of the shop."
    return page("Replayed calls", lead, parts, made=f"Made {made:%Y-%m-%d %H:%M} by storehand replay.")


def _disagreements(calls: Sequence[ReplayedCall]) -> list[Markup]:
    against = [
        [call.call.id, turn.customer, turn.human, turn.agent, turn.departs_why]
        for call in calls
        for turn in call.turns
        if turn.departs == "contradicts"
    ]
    stated = [
        [
            call.call.id,
            each.text,
            badge(each.verdict, "bad" if each.verdict == "contradicted" else "warn"),
            each.clause or "–",
            each.why,
        ]
        for call in calls
        for turn in call.turns
        for each in turn.statements
        if each.verdict != "supported"
    ]
    parts = []
    if against:
        parts.append(
            section("Answers that contradict each other", table(["call", "customer", "person", "agent", "where"], against))
        )
    if stated:
        parts.append(
            section(
                "Rules that people stated and no clause supports",
                table(["call", "the person said", "verdict", "nearest clause", "why"], stated),
                note="Either the person was wrong, or the shop has a rule that nobody has written down.",
            )
        )
    return parts


def _missing(missing: Sequence[Missing]) -> list[Markup]:
    if not missing:
        return []
    rows: list[list[str | int]] = [
        [len(each.calls), each.question, each.draft or "–", ", ".join(each.calls)] for each in missing
    ]
    return [
        section(
            "Missing knowledge",
            table(["calls", "asked", "draft of an answer, in the staff's words", "in"], rows),
            note="The drafts are in drafts.jsonl, in the form of clauses.jsonl. Nobody has checked them: mend them before you add them.",
        )
    ]


def _overview(calls: Sequence[ReplayedCall]) -> Markup:
    rows: list[list[Value]] = []
    for call in calls:
        first = call.first_departure
        misses = call.misses()
        rows.append(
            [
                call.call.id,
                topic_of(call),
                badge(*OUTCOMES[call.outcome]),
                f"turn {first + 1}: {call.turns[first].departs}" if first is not None else "–",
                f"{call.call.seconds:.0f} s" if call.call.seconds else "–",
                f"{call.agent_seconds:.1f} s",
                badge("as expected", "good") if call.call.expect and not misses else "; ".join(misses) or "–",
            ]
        )
    return section("Calls", table(["call", "wanted", "ended", "first departure", "call", "agent", "expected outcome"], rows))


def _call(call: ReplayedCall) -> Markup:
    rows: list[Sequence[Line]] = []
    for turn in call.turns:
        given = (f"given from the person's words: {turn.given}",) if turn.given else ()
        rows.append([Line("customer", turn.customer, notes=given, language=turn.language)])
        rows.append(
            [
                Line("human", turn.human or "–", name="person", notes=_statement_notes(turn), language=turn.language),
                Line(
                    "agent", WITHHELD if turn.withheld else turn.agent or "–", notes=_agent_notes(turn), language=turn.language
                ),
            ]
        )
    moved = [
        f"{each.kind.replace('_', ' ')} of {format_money(each.cents, call.currency)} on order {each.order}"
        for each in call.committed
    ]
    about = [
        call.call.format,
        f"began {call.call.at:%Y-%m-%d %H:%M %Z}" if call.call.at else "",
        f"customer {call.call.customer or 'not given'}",
        *([f"moved in the copy: {'; '.join(moved)}"] if moved else []),
    ]
    told = Markup('<p class="note">{}</p>').format(" · ".join(filter(None, about)))
    problems = (
        [table(["place in the file", "problem"], [[each.place, each.what] for each in call.call.problems])]
        if call.call.problems
        else []
    )
    title = Markup("{} · {} {}").format(call.call.id, topic_of(call), badge(*OUTCOMES[call.outcome]))
    return fold(title, conversation(rows), told, *problems)


def _statement_notes(turn: ReplayedTurn) -> tuple[Markup, ...]:
    kinds: dict[str, Kind] = {"supported": "good", "contradicted": "bad", "unsupported": "warn"}
    return tuple(
        Markup("{} {} {}").format(badge(f"rule {each.verdict}", kinds[each.verdict]), each.clause or "", each.why)
        for each in turn.statements
    )


def _agent_notes(turn: ReplayedTurn) -> tuple[str | Markup, ...]:
    notes: list[str | Markup] = []
    for step in turn.steps:
        sources = ", ".join(dict.fromkeys(fact.source for fact in step.facts))
        label = f"{wish_label(step.tool, 'en')} ({step.tool})" if step.tool in _LABELLED else step.tool.replace("_", " ")
        notes.append(f"{label}: {sources or 'no facts'}")
    if turn.quote:
        total = format_money(turn.quote.total_cents, turn.quote.currency)
        notes.append(
            f"quote: {turn.quote.kind.replace('_', ' ')}, {total}{f', order {turn.quote.order}' if turn.quote.order else ''}"
        )
    if turn.departs:
        notes.append(
            Markup("{} {}").format(badge(turn.departs, "bad" if turn.departs == "contradicts" else "warn"), turn.departs_why)
        )
    promises = f"{turn.checked} sentences held against facts, {turn.replaced} replaced · " if turn.checked else ""
    notes.append(f"{promises}{turn.seconds:.1f} s")
    return tuple(notes)


_LABELLED = frozenset(
    "search_products identify_product recommend_products advise_size answer_from_policy track_order quote_return quote_exchange "
    "quote_cancellation quote_order_change quote_address_change hand_to_human".split()
)


def _share(count: int, whole: int) -> str:
    return f"{count} ({count / whole:.0%})" if whole else "0"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"
