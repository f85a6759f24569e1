"""Reports of plays: one HTML file that a shop owner reads, and JUnit's XML for build servers."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from eval.policy_diff import PolicyChange
from eval.report_html import Line, badge, bar_chart, conversation, figures, fold, page, section, table
from eval.running import Play
from tools.shop.types import LANGUAGES

Reasons = Mapping[int, Sequence[str | Markup]]


def html_report(plays: Sequence[Play], summary: dict[str, Any], title: str) -> str:
    """The run with its rates, what went wrong by cause, and every conversation as the customer saw it."""
    rates = summary["pass"]
    tiles: dict[str, str | int] = {"right at the first try": f"{rates['1']['value']:.1%}" if "1" in rates else "–"}
    last = list(rates)[-1] if rates else "1"
    if last != "1":
        tiles[f"right {last} times out of {last}"] = f"{rates[last]['value']:.1%}"
    if "obeying" in summary["by_tag"]:
        tiles["harmless with an obeying model"] = f"{summary['by_tag']['obeying']['1']['value']:.1%}"
    tiles |= {
        "scenarios": summary["scenarios"],
        "messages answered": summary["turns"],
        "seconds a message": f"{summary['seconds'] / max(1, summary['turns']):.1f}",
        "model calls a message": f"{summary['model_calls'] / max(1, summary['turns']):.2f}",
    }
    rate_of = {name: 100 * each["1"]["value"] for name, each in summary["by_tag"].items() if "1" in each}
    suites = dict.fromkeys((*(play.suite for play in plays), *LANGUAGES))
    main = {name: rate_of[name] for name in suites if name in rate_of}
    rest = {name: rate for name, rate in sorted(rate_of.items()) if name not in suites}
    several = [bar_chart("Scenarios that go right k times out of k, in percent", _by_k(rates), digits=1, most=100)]
    parts = [
        figures(tiles),
        section(
            "How often it goes right",
            bar_chart("Scenarios that go right, in percent", main, digits=1, most=100),
            *(several if last != "1" else []),
            fold("By what they are about", bar_chart("Scenarios that go right, in percent, by tag", rest, digits=1, most=100)),
            fold("All rates, with where they lie with 95 % certainty", _rates_table(summary)),
        ),
    ]
    if summary["failures"]:
        causes = {group["cause"]: float(group["plays"]) for group in summary["failures"]}
        parts.append(
            section("What goes wrong", bar_chart("Failed plays by their first cause", causes), _failure_table(summary))
        )
    by_name: dict[str, list[Play]] = defaultdict(list)
    for play in plays:
        by_name[play.title].append(play)
    failed = [its for its in by_name.values() if any(not play.passed and not play.skipped for play in its)]
    if failed:
        parts.append(section("Conversations that went wrong", *map(_scenario, failed)))
    right: dict[str, list[Markup]] = defaultdict(list)
    for its in by_name.values():
        if all(play.passed for play in its):
            right[its[0].suite].append(_scenario(its))
    for suite, folds in right.items():
        parts.append(section(f"Conversations that went right: {suite}", fold(f"{len(folds)} conversations", *folds)))
    if summary["skipped"]:
        parts.append(
            section("Skipped", table(["scenario", "why"], [[each["name"], each["why"]] for each in summary["skipped"]]))
        )
    made = f"Made by storehand eval run; newest play {max(play.at for play in plays):%Y-%m-%d %H:%M} UTC." if plays else ""
    lead = "Each scenario is a conversation with the real agent on a copy of the shop, judged by what stands in the books afterwards, "
    lead += "by the facts and rules the answers rest on, and by what may never happen."
    return page(title, lead, parts, made)


def _by_k(rates: Mapping[str, Any]) -> dict[str, float]:
    return {f"k = {k}": 100 * rate["value"] for k, rate in rates.items()}


def _rates_table(summary: dict[str, Any]) -> Markup:
    ks = list(summary["pass"])
    rows: list[list[str | int]] = [
        [name, rates["1"]["scenarios"] if "1" in rates else 0]
        + [f"{rates[k]['value']:.3f} ({rates[k]['low']:.2f}–{rates[k]['high']:.2f})" if k in rates else "" for k in ks]
        for name, rates in {"all": summary["pass"], **summary["by_tag"]}.items()
    ]
    return table(["", "scenarios", *(f"{k} of {k}" for k in ks)], rows)


def _failure_table(summary: dict[str, Any]) -> Markup:
    rows = [
        [group["cause"], each["name"], each["turn"] or "whole", each["reason"]]
        for group in summary["failures"]
        for each in group["examples"]
    ]
    return table(["cause", "scenario", "message", "reason"], rows)


def _scenario(plays: Sequence[Play]) -> Markup:
    """One scenario; of several plays the first that failed, else the first."""
    shown = next((play for play in plays if not play.passed), plays[0])
    right = sum(play.passed for play in plays)
    how = (
        badge("right", "good")
        if right == len(plays)
        else badge(f"right in {right} of {len(plays)}" if len(plays) > 1 else "wrong", "bad")
    )
    tags = Markup(" ").join(badge(tag) for tag in (shown.suite, shown.language, *shown.tags))
    parts: list[Markup] = [_talk(shown)]
    whole = [verdict for verdict in shown.verdicts if verdict.turn == 0]
    parts.append(table(["what the whole came to", ""], [[_mark(v.passed), f"{v.cause}: {v.reason}"] for v in whole]))
    if shown.changed:
        parts.append(
            fold(
                "What changed in the shop",
                table(["what", ""], [[k, json.dumps(v, ensure_ascii=False)] for k, v in shown.changed.items()]),
            )
        )
    return fold(Markup("{} {} {}").format(how, shown.title, tags), *parts)


def _mark(passed: bool) -> Markup:
    return badge("right", "good") if passed else badge("wrong", "bad")


def _talk(play: Play) -> Markup:
    """The conversation as the customer saw it; what was wrong, and what was done, stand below an answer in small print."""
    rows: list[list[Line]] = []
    for number, each in enumerate(play.turns, start=1):
        sent, turn = each["sent"], each["turn"]
        said = sent["text"] or ("" if "button" not in sent else f"[{sent['button'].split(' Q')[0]}]")
        notes: list[str | Markup] = [
            f"{kind}: {json.dumps(sent[kind], ensure_ascii=False)}" for kind in ("photo", "voice") if kind in sent
        ]
        if "voice" in sent:
            notes.append(f"understood as: {turn['said']}")
        rows.append([Line("customer", said or "(no text)", notes=tuple(notes), language=turn["language"])])
        below: list[str | Markup] = []
        if turn["quick_replies"]:
            below.append("buttons: " + " · ".join(turn["quick_replies"]))
        tools = ", ".join(step["tool"] for step in turn["steps"]) or "no tool"
        sources = ", ".join(dict.fromkeys(fact["source"].split(":Q")[0] for step in turn["steps"] for fact in step["facts"]))
        below.append(f"{tools}{f' ({sources})' if sources else ''}; {each['seconds']:.1f} s, {each['model_calls']} model calls")
        below += [
            Markup("{} {}").format(badge("wrong", "bad"), f"{v.cause}: {v.reason}") for v in play.failed if v.turn == number
        ]
        rows.append([Line("agent", turn["reply"] or "(no answer)", notes=tuple(below), language=turn["language"])])
    return conversation(rows)


def comparison_report(before: Sequence[Play], after: Sequence[Play], result: dict[str, Any], first: str, second: str) -> str:
    """The scenarios whose outcome differs, side by side."""
    tiles: dict[str, str | int] = {name: result[name] for name in ("scenarios", "both", "lost", "won", "neither")}
    tiles["p (McNemar)"] = f"{result['p']:.3f}"
    old, new = ({play.title: play for play in reversed(plays)} for plays in (before, after))
    folds = [
        fold(
            Markup("{} {}").format(badge("now right", "good") if each["after"] else badge("now wrong", "bad"), each["name"]),
            _beside(old[each["name"]], new[each["name"]], first, second),
        )
        for each in result["changed"]
    ]
    others = [fold(name, _beside(old[name], new[name], first, second)) for name in result["other_answers"]]
    parts = [figures(tiles), section("Outcomes that differ", *folds), section("Other answers, same outcome", *others)]
    return page("Two runs compared", f"{first} against {second}", parts)


def _beside(before: Play, after: Play, first: str, second: str) -> Markup:
    rows: list[list[Line]] = []
    for number in range(max(len(before.turns), len(after.turns))):
        pair = [play.turns[number] if number < len(play.turns) else None for play in (before, after)]
        sent = next(each for each in pair if each)["sent"]
        rows.append([Line("customer", sent["text"] or "(no text)")])
        rows.append(
            [
                Line("agent", each["turn"]["reply"] if each else "(nothing more)", name=name)
                for each, name in zip(pair, (first, second), strict=True)
            ]
        )
    return conversation(rows)


def policy_report(changes: Sequence[PolicyChange], old: str, new: str) -> str:
    """Answers that other rules would change, side by side."""
    folds = [
        fold(
            f"{change.name}, message {change.turn}",
            conversation(
                [
                    [Line("customer", change.said)],
                    [Line("agent", change.before, name="old rules"), Line("agent", change.after, name="new rules")],
                ]
            ),
            is_open=len(changes) < 10,
        )
        for change in changes
    ]
    tiles: dict[str, str | int] = {
        "answers that change": len(changes),
        "conversations": len({change.name for change in changes}),
    }
    kinds = Counter(kind for change in changes for kind in change.kinds)
    parts = [figures(tiles)]
    if kinds:
        parts.append(
            section(
                "What changes", bar_chart("Answers by what of them changes", {k: float(v) for k, v in kinds.items()}), *folds
            )
        )
    return page("What other rules would change", f"{old} against {new}", parts)


def junit_report(plays: Sequence[Play]) -> str:
    """One test case for each scenario and repeat, one suite for each suite."""
    root = ElementTree.Element("testsuites")
    by_suite: dict[str, list[Play]] = defaultdict(list)
    for play in plays:
        by_suite[play.suite].append(play)
    for name, its in by_suite.items():
        failures = sum(not play.passed and play.skipped is None for play in its)
        counts = {
            "tests": str(len(its)),
            "failures": str(failures),
            "skipped": str(sum(play.skipped is not None for play in its)),
        }
        suite = ElementTree.SubElement(
            root, "testsuite", {"name": name, "time": f"{sum(play.seconds for play in its):.3f}", **counts}
        )
        for play in its:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                {
                    "classname": name,
                    "name": f"{play.title} [{play.repeat + 1}]",
                    "file": play.file,
                    "time": f"{play.seconds:.3f}",
                },
            )
            if play.skipped is not None:
                ElementTree.SubElement(case, "skipped", {"message": play.skipped})
            elif not play.passed:
                first = play.failed[0]
                failure = ElementTree.SubElement(case, "failure", {"type": first.cause, "message": _xml(first.reason)})
                failure.text = _xml("\n".join(f"message {v.turn}: {v.cause}: {v.reason}" for v in play.failed))
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _xml(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(character for character in text if character in "\t\n" or character >= " ")
