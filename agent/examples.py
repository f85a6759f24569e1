"""Labelled examples: sentences of customers with the tool that was right.

The chooser learns from them, and they show a chat model how to fill the arguments. The files are
prompts/examples/<language>-<writer>.jsonl, one for each writer, so that a chooser can be tried on a writer it has not read.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tools.catalog.grams import grams
from tools.kit.errors import BadSettings
from tools.kit.phrases import PROMPTS
from tools.shop.policy import Reason
from tools.shop.types import LANGUAGES, Language

Before = Literal["shown", "order", "policy", "size", "quote"]
Talk = Literal["greeting", "thanks", "goodbye", "agree", "about_me", "out_of_scope", "unclear"]


class Slots(BaseModel):
    """What a sentence literally holds, as code should read it from the words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: str | None = None
    min_price: float | None = None
    max_price: float | None = None
    size: str | None = None
    color: str | None = None
    reason: Reason | None = None


class Example(BaseModel):
    """One labelled sentence.

    `tool` is several where a good person would have to ask which is meant, the likeliest first; with `any_of`, where each of them would
    be a right answer or nobody has told yet which one is. `before` tells what the turn before it was about; `talk` which talk_ phrase
    answers a "reply".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    say: str
    tool: str | tuple[str, ...]
    any_of: bool = False
    arguments: dict[str, Any] = {}
    before: Before | None = None
    photo: bool = False
    talk: Talk | None = None
    slots: Slots = Slots()
    writer: str = Field(default="", exclude=True)
    """The name of the file it stands in, without its ending: language and writer."""

    @property
    def tools(self) -> tuple[str, ...]:
        """One tool, or those between which a question would have to decide."""
        return (self.tool,) if isinstance(self.tool, str) else self.tool

    def as_decision(self) -> str:
        """The decision as the chat model writes it."""
        return json.dumps({"tool": self.tools[0], "arguments": self.arguments}, ensure_ascii=False)


REPLY = "reply"
"""What the examples and the chat model call "no tool"."""


SAME_SITUATION = 0.1
"""Added to the likeness of an example whose turn before was of the same kind."""


def load_examples(language: Language) -> list[Example]:
    """Read prompts/examples/<language>-*.jsonl. Raises BadSettings with the file and the line that is wrong."""
    return [example for path in sorted((PROMPTS / "examples").glob(f"{language}-*.jsonl")) for example in read_examples(path)]


def read_examples(path: Path) -> list[Example]:
    """Read one writer's file. Raises BadSettings with the line that is wrong."""
    examples = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            examples.append(Example.model_validate({**json.loads(line), "writer": path.stem}))
        except (ValidationError, ValueError, TypeError) as error:
            raise BadSettings(f"'{path}', line {number}: {error}") from error
    return examples


def digest_of(examples: Iterable[Example]) -> str:
    """Names what can be learnt from the examples, whatever their order."""
    lines = sorted(
        example.model_dump_json(include={"say", "tool", "any_of", "before", "photo", "talk"}) for example in examples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def files_digest() -> str:
    """Names what stands in prompts/examples/: the chooser that is shipped was trained on one such state."""
    files = sorted((PROMPTS / "examples").glob("*.jsonl"))
    return hashlib.sha256("\n".join(file.name + file.read_text(encoding="utf-8") for file in files).encode()).hexdigest()[:16]


def all_examples() -> list[Example]:
    """The examples of every language."""
    return [example for language in LANGUAGES for example in load_examples(language)]


def most_alike(said: str, language: Language, before: Before | None, tools: Collection[str], count: int) -> list[Example]:
    """Examples of these tools that share most letters and words with the message, the most alike first; one of the same situation wins.

    They show a chat model how arguments are filled.
    """
    wanted = grams(said)

    def likeness(example: Example) -> float:
        its = _grams_of(example.say)
        return len(wanted & its) / max(1, len(wanted | its)) + SAME_SITUATION * (example.before == before)

    possible = [example for example in _examples(language) if example.tools[0] in tools and not example.photo]
    return sorted(possible, key=likeness, reverse=True)[:count]


@cache
def _examples(language: Language) -> list[Example]:
    return load_examples(language)


@cache
def _grams_of(sentence: str) -> frozenset[str]:
    return frozenset(grams(sentence))
