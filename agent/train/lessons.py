"""What the chat model learns from: labelled sentences as decisions, and replies written by hand from facts.

Knows texts only; tokens and weights are in lora.py.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from langchain_core.messages import AnyMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, ConfigDict, Field

from agent.decide import TOOLS
from agent.examples import Example, load_examples
from agent.models.decision import REPLY, Tool, parse_decision
from agent.train.messages import decision_messages, grounded_messages
from tools.kit.errors import BadSettings, ModelFailed, OperatorError
from tools.kit.json_lines import read_json_lines
from tools.kit.phrases import PROMPTS
from tools.shop.types import LANGUAGES, Language

HELD_OUT = 0.06
"""Share of the lessons that is not learnt from: its loss tells when to stop."""
MOST_HELD_OUT = 96

Kind = Literal["decision", "reply"]


@dataclass(frozen=True)
class Lesson:
    """A prompt and what the model should write. `topic` is what a selection is balanced by: the tool, or "written"."""

    kind: Kind
    language: Language
    topic: str
    messages: tuple[AnyMessage, ...]
    completion: str


class GroundedReply(BaseModel):
    """One line of prompts/replies.<language>.jsonl: what the customer said, the facts found, and the best answer from them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    said: str = Field(min_length=1)
    facts: tuple[str, ...] = Field(min_length=1)
    reply: str = Field(min_length=1)


class Case(BaseModel):
    """A labelled sentence to be tried afterwards; `tools` holds null where replying without a tool is right.

    `before` is what the customer said earlier. `photo` true stands for some photo of a product, a path for that one.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    say: str
    language: Language
    tools: tuple[str | None, ...]
    before: tuple[str, ...] = ()
    photo: bool | str = False


def described_tools() -> list[Tool]:
    """The tools that may be chosen, as a grammar is made of them."""
    return [convert_to_openai_tool(tool) for tool in TOOLS]


def decision_text(tool: str, arguments: dict[str, Any], tools: Sequence[Tool]) -> str:
    """The decision as the grammar makes a model write it: required arguments first, each group in the schema's order.

    Raises ModelFailed where it breaks the tool's schema.
    """
    if tool == REPLY:
        return json.dumps({"tool": REPLY})
    schema: dict[str, Any] = next((each["function"]["parameters"] for each in tools if each["function"]["name"] == tool), {})
    required = schema.get("required", [])
    order = [*required, *(name for name in schema.get("properties", {}) if name not in required), *arguments]
    sorted_arguments = {name: arguments[name] for name in dict.fromkeys(order) if name in arguments}
    text = json.dumps({"tool": tool, "arguments": sorted_arguments}, ensure_ascii=False)
    parse_decision(text, tools)
    return text


def load_decisions() -> list[Lesson]:
    """The labelled sentences of both languages, without those that are right with several tools or lack an argument."""
    tools = described_tools()
    return [
        lesson for language in LANGUAGES for each in load_examples(language) if (lesson := _decision(each, language, tools))
    ]


def _decision(example: Example, language: Language, tools: Sequence[Tool]) -> Lesson | None:
    tool: str | Sequence[str] = example.tool
    if not isinstance(tool, str):
        return None  # Which one is right would have to be asked.
    try:
        completion = decision_text(tool, example.arguments, tools)
    except ModelFailed:
        return None  # It was written to be found by similarity only.
    messages = decision_messages(example.say, before=example.before, photo=example.photo)
    return Lesson("decision", language, tool, tuple(messages), completion)


def load_replies(folder: Path = PROMPTS) -> list[Lesson]:
    """The replies of `folder`/replies.<language>.jsonl; none where there is no such file. Raises BadSettings with file and line."""
    lessons = []
    for language in LANGUAGES:
        path = folder / f"replies.{language}.jsonl"
        if not path.exists():
            continue
        try:
            rows = read_json_lines(path, GroundedReply)
        except OperatorError as error:
            raise BadSettings(str(error)) from error
        for row in rows:
            messages = tuple(grounded_messages(row.said, row.facts))
            lessons.append(Lesson("reply", language, "written", messages, row.reply))
    return lessons


def read_cases(paths: Iterable[Path]) -> list[Case]:
    """The cases that need no earlier turn and say something. Raises OperatorError with the file and the line."""
    cases = [case for path in paths for case in read_json_lines(path, Case)]
    return [case for case in cases if not case.before and case.say.strip()]


def choose(lessons: Sequence[Lesson], limit: int | None, seed: int) -> list[Lesson]:
    """`limit` lessons, the same number of each language and topic as far as there are so many; all of them if None."""
    rng = random.Random(seed)
    groups: dict[tuple[str, str], list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        groups[lesson.language, lesson.topic].append(lesson)
    for group in groups.values():
        rng.shuffle(group)
    chosen: list[Lesson] = []
    most = len(lessons) if limit is None else limit
    for turn in range(max(map(len, groups.values()), default=0)):
        chosen += [group[turn] for group in groups.values() if turn < len(group)]
    return chosen[:most]


def hold_out(lessons: Sequence[Lesson], seed: int) -> tuple[list[Lesson], list[Lesson]]:
    """The lessons to learn from, and HELD_OUT of them (at least one of each kind, MOST_HELD_OUT at most) to be judged by."""
    rng = random.Random(seed)
    learnt, held = [], []
    for kind in ("decision", "reply"):
        of_kind = [lesson for lesson in lessons if lesson.kind == kind]
        rng.shuffle(of_kind)
        count = min(max(1, round(HELD_OUT * len(of_kind))), MOST_HELD_OUT) if len(of_kind) > 1 else 0
        held += of_kind[:count]
        learnt += of_kind[count:]
    return learnt, held
