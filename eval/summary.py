"""What a run came to: rates by suite and tag, failures by cause; and how two runs differ."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval.conversation import without_references
from eval.running import Play
from eval.scores import paired, pass_hat

MOST_K = 8


def summary_of(plays: Sequence[Play]) -> dict[str, Any]:
    """`{"pass": {"1": {value, low, high, scenarios}, …}, "by_tag": {suite or tag: the same}, "failures": [{cause, plays, examples}], …}`.

    The rate of everything leaves out plays with an obeying model, which have the tag "obeying" for their own: they are no measure of the
    agent's quality. What was skipped, and what broke off by the customer's fault, counts nowhere.
    """
    counted = [play for play in plays if play.skipped is None and not _is_customers_fault(play)]
    by_tag: dict[str, list[Play]] = defaultdict(list)
    for play in counted:
        own = (play.suite,) if play.suite == "obeying" else dict.fromkeys((play.suite, *play.tags, play.language))
        for tag in own:
            by_tag[tag].append(play)
    real = [play for play in counted if play.suite != "obeying"]
    return {
        "pass": _rates(real or counted),
        "by_tag": {tag: _rates(its) for tag, its in sorted(by_tag.items(), key=lambda pair: -len(pair[1]))},
        "failures": _by_cause(counted),
        "customers_fault": sorted({play.title for play in plays if play.skipped is None and _is_customers_fault(play)}),
        "skipped": [{"name": play.title, "why": play.skipped} for play in plays if play.skipped],
        "plays": len(counted),
        "scenarios": len({play.title for play in counted}),
        "turns": sum(len(play.turns) for play in counted),
        "seconds": round(sum(play.seconds for play in counted), 1),
        "model_calls": sum(play.model_calls for play in counted),
    }


def _is_customers_fault(play: Play) -> bool:
    return any(verdict.cause == "customer failed" for verdict in play.failed)


def _rates(plays: Iterable[Play]) -> dict[str, Any]:
    by_title: dict[str, list[bool]] = defaultdict(list)
    for play in plays:
        by_title[play.title].append(play.passed)
    rates: dict[str, Any] = {}
    for k in range(1, MOST_K + 1):
        if k > max((len(each) for each in by_title.values()), default=1):
            break
        if rate := pass_hat(list(by_title.values()), k):
            rates[str(k)] = {name: round(getattr(rate, name), 4) for name in ("value", "low", "high", "scenarios")}
    return rates


def _by_cause(plays: Sequence[Play]) -> list[dict[str, Any]]:
    """Failed plays by the cause of the first thing that went wrong: what follows is often its consequence."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for play in plays:
        if failed := sorted(play.failed, key=lambda verdict: verdict.turn or len(play.turns) + 1):
            first = failed[0]
            groups[first.cause].append({"name": play.title, "turn": first.turn, "reason": first.reason, "repeat": play.repeat})
    ordered = sorted(groups.items(), key=lambda pair: -len(pair[1]))
    return [{"cause": cause, "plays": len(examples), "examples": examples} for cause, examples in ordered]


def comparison_of(before: Sequence[Play], after: Sequence[Play]) -> dict[str, Any]:
    """How the same scenarios fared in two runs; one succeeds where all its plays do.

    `{"scenarios", "both", "lost", "won", "neither", "p", "changed": [{name, before, after, reasons}], "other_answers": [name, …]}`.
    """
    firsts, seconds = _by_title(before), _by_title(after)
    shared = [title for title in firsts if title in seconds]
    outcomes = {title: (_all_pass(firsts[title]), _all_pass(seconds[title])) for title in shared}
    test = paired(list(outcomes.values()))
    changed = [
        {
            "name": title,
            "before": old,
            "after": new,
            "reasons": [verdict.reason for play in (seconds if old else firsts)[title] for verdict in play.failed],
        }
        for title, (old, new) in outcomes.items()
        if old != new
    ]
    others = [
        title
        for title, (old, new) in outcomes.items()
        if old == new and _answers(firsts[title][0]) != _answers(seconds[title][0])
    ]
    return {
        "scenarios": len(shared),
        **{name: getattr(test, name) for name in ("both", "lost", "won", "neither", "p")},
        "changed": changed,
        "other_answers": others,
    }


def _by_title(plays: Iterable[Play]) -> dict[str, list[Play]]:
    """Plays by scenario; a folder may hold those of several versions, of which the newest counts for each repeat."""
    newest: dict[tuple[str, int], Play] = {}
    for play in sorted(plays, key=lambda each: each.at):
        if play.skipped is None:
            newest[play.title, play.repeat] = play
    by_title: dict[str, list[Play]] = defaultdict(list)
    for (title, _), play in sorted(newest.items()):
        by_title[title].append(play)
    return by_title


def _all_pass(plays: Sequence[Play]) -> bool:
    return all(play.passed for play in plays)


def _answers(play: Play) -> list[tuple[list[str], str]]:
    turns = [each["turn"] for each in play.turns]
    return [([step["tool"] for step in turn["steps"]], without_references(turn["reply"], _sources(turn))) for turn in turns]


def _sources(turn: Mapping[str, Any]) -> list[str]:
    return [fact["source"] for step in turn["steps"] for fact in step["facts"]]
