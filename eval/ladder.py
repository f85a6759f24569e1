"""What each part of a choice is worth: the same sentences chosen by the chat model alone, with examples, by the classifiers, and so on."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from agent.chooser.chooser import Chooser
from agent.chooser.evidence import Evidence
from agent.chooser.situation import Situation
from agent.decide import TOOLS
from agent.examples import REPLY, Before, most_alike
from agent.prompts import fill
from agent.session import KINDS
from eval.choose import Case
from tools.kit.errors import ModelFailed

EXAMPLES = 6
"""Shown to the chat model, as many as make it best."""
Choose = Callable[[Case], str | None]


def rungs(chooser: Chooser, model: BaseChatModel, prefix: str) -> dict[str, Choose]:
    """The ways to choose, each with one part more than the one before; None is no tool."""
    return {
        "chat model alone": lambda case: _by_model(model, prefix, case, examples=0),
        "chat model + examples": lambda case: _by_model(model, prefix, case, examples=EXAMPLES),
        "linear classifier": lambda case: _likeliest(chooser.look_up_by("linear", case.say, Situation(case.language)), case),
        "… + situation": lambda case: _likeliest(chooser.look_up_by("linear", case.say, _situation(chooser, case)), case),
        "tuned encoder": lambda case: _likeliest(chooser.look_up_by("tuned", case.say, _situation(chooser, case)), case),
        "both joined": lambda case: _likeliest(chooser.look_up_by("joined", case.say, _situation(chooser, case)), case),
    }


def climb(ways: dict[str, Choose], cases: Sequence[Case]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each way's accuracy in all and by language, and its median seconds a choice."""
    languages = sorted({case.language for case in cases})
    for name, choose in ways.items():
        right, seconds = [], []
        for case in cases:
            began = time.perf_counter()
            right.append(choose(case) in case.tools)
            seconds.append(time.perf_counter() - began)
        by_language = {
            language: statistics.mean(float(ok) for ok, case in zip(right, cases, strict=True) if case.language == language)
            for language in languages
        }
        yield (
            name,
            {
                "accuracy": statistics.mean(map(float, right)),
                "by_language": by_language,
                "seconds_median": statistics.median(seconds),
            },
        )


def _situation(chooser: Chooser, case: Case) -> Situation:
    """As the agent would find it: what the last earlier message asked for tells what the last turn was about."""
    before: Before | None = None
    for said in case.before:
        before = KINDS.get(next(iter(chooser.look_up(said, case.language, before=before, photo=False).shares)))
    return Situation(case.language, before, bool(case.photo))


def _likeliest(evidence: Evidence, case: Case) -> str | None:
    tool = next(tool for tool in evidence.shares if case.photo or tool != "identify_product")
    return None if tool == REPLY else tool


def _by_model(model: BaseChatModel, prefix: str, case: Case, *, examples: int) -> str | None:
    """One constrained decision among all tools, as a plain agent would make it."""
    shown = most_alike(case.say, case.language, None, {REPLY, *(tool.name for tool in TOOLS)}, examples)
    prompt = fill(
        "decide.md",
        context="A photo is attached.\n\n" if case.photo else "",
        examples="\n".join(f"Customer: {each.say}\n{each.as_decision()}" for each in reversed(shown)),
        said=case.say,
    )
    earlier = [message for said in case.before for message in (HumanMessage(said), AIMessage("…"))]
    try:
        answer = model.bind_tools(list(TOOLS), allow_reply=True, write_reply=False).invoke(
            [SystemMessage(prefix), *earlier, HumanMessage(prompt)]
        )
    except ModelFailed:
        return None
    return answer.tool_calls[0]["name"] if answer.tool_calls else None


WIDTH, ROW, LEFT = 760, 22, 220
_COLORS = ("#1f6f8b", "#c86b1f")


def draw_rungs(results: Mapping[str, dict[str, Any]], cases: int) -> str:
    """Each rung's right choices by language, as an SVG picture of bars."""
    languages = list(results[next(iter(results))]["by_language"])
    height = 56 + len(results) * (ROW * len(languages) + 12)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15">The right tool for {cases} sentences, by what chooses it</text>',
    ]
    y = 44
    for name, row in results.items():
        middle = y + ROW * len(languages) / 2
        parts.append(f'<text x="{LEFT - 12}" y="{middle + 5:.0f}" text-anchor="end">{escape(name)}</text>')
        for color, language in zip(_COLORS, languages, strict=False):
            share = row["by_language"][language]
            width = (WIDTH - LEFT - 110) * share
            parts.append(f'<rect x="{LEFT}" y="{y + 2}" width="{width:.1f}" height="{ROW - 5}" fill="{color}"/>')
            parts.append(f'<text x="{LEFT + width + 8:.1f}" y="{y + ROW - 7}">{share:.1%} {language}</text>')
            y += ROW
        y += 12
    return "\n".join([*parts, "</svg>", ""])
