"""Before and after: how often llama.cpp chooses the right tool, and how fast, with the prompts of either kind.

All tools are allowed, and nothing of the agent's other evidence helps: this measures the model, not the agent.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage

from agent.decide import TOOLS
from agent.examples import Example, load_examples
from agent.models.llama_engine import Engine
from agent.models.local_gguf import LocalGGUF
from agent.prompts import fill, static_prefix
from agent.train.lessons import Case
from agent.train.messages import PHOTO, decision_messages
from tools.kit.errors import ModelFailed
from tools.shop.types import LANGUAGES, Language

Prompt = Callable[[Case], list[AnyMessage]]


def short_prompt(case: Case) -> list[AnyMessage]:
    """What a fine-tuned model reads."""
    return decision_messages(case.say, photo=bool(case.photo))


def full_prompt() -> Prompt:
    """What any other model reads: the agent's role and tools, and here one labelled example of each tool and language."""
    prefix = SystemMessage(static_prefix("this shop", TOOLS))
    shown = {language: _one_each(load_examples(language)) for language in LANGUAGES}

    def prompt(case: Case) -> list[AnyMessage]:
        context = f"{PHOTO}\n\n" if case.photo else ""
        return [prefix, HumanMessage(fill("decide.md", context=context, examples=shown[case.language], said=case.say))]

    return prompt


def _one_each(examples: Sequence[Example]) -> str:
    first: dict[str, Example] = {}
    for example in examples:
        if isinstance(example.tool, str):
            first.setdefault(example.tool, example)
    return "\n".join(f"Customer: {example.say}\n{example.as_decision()}" for example in first.values())


def measure_decisions(engine: Engine, cases: Sequence[Case], prompt: Prompt, advance: Callable[[], None]) -> dict[str, Any]:
    """Let the model of `engine` choose for each case; a decision that fails is a wrong one.

    Gives "right" (share of all), "by_language", "seconds_median" of a decision, "failed", and "missed": what was said, chosen, right.
    """
    # Loading and the first evaluation of the prefix are not part of a decision.
    chooser = LocalGGUF(engine=engine).bind_tools(TOOLS, write_reply=False)
    if cases:
        with suppress(ModelFailed):
            _chosen(chooser, prompt(cases[0]))
    right: dict[Language, list[bool]] = defaultdict(list)
    seconds, failed, missed = [], 0, []
    for case in cases:
        began = time.perf_counter()
        try:
            chosen = _chosen(chooser, prompt(case))
        except ModelFailed as error:
            chosen, failed = f"({str(error)[:80]})", failed + 1
        seconds.append(time.perf_counter() - began)
        right[case.language].append(chosen in case.tools)
        if chosen not in case.tools:
            missed.append({"say": case.say, "chosen": chosen, "right": list(case.tools)})
        advance()
    everything = [each for of_language in right.values() for each in of_language]
    return {
        "right": statistics.mean(everything),
        "by_language": {language: statistics.mean(of_language) for language, of_language in sorted(right.items())},
        "seconds_median": statistics.median(seconds),
        "failed": failed,
        "missed": missed,
    }


def _chosen(chooser: Any, messages: list[AnyMessage]) -> str | None:
    """The tool that is called; None for a reply."""
    calls = chooser.invoke(messages).tool_calls
    return str(calls[0]["name"]) if calls else None
