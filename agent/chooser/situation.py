"""What the chooser knows beside the words."""

from dataclasses import dataclass
from typing import Self, get_args

from agent.examples import Before, Example
from tools.shop.types import Language

_MARKS: dict[Before, str] = {"shown": "products", "order": "order", "policy": "rule", "size": "size", "quote": "offer"}


@dataclass(frozen=True)
class Situation:
    """The language, what the last turn was about, whether a photo came."""

    language: Language
    before: Before | None = None
    photo: bool = False

    @classmethod
    def of(cls, example: Example) -> Self:
        """The situation in which an example was said."""
        return cls("zh" if example.writer.startswith("zh") else "en", example.before, example.photo)

    def features(self) -> list[float]:
        """One number for the language, one for each kind of turn before, one for the photo."""
        return [float(value) for value in (self.language == "zh", *(self.before == each for each in _BEFORE), self.photo)]

    def marked(self, sentence: str) -> str:
        """The sentence as the tuned encoder reads it: the situation stands in front, in brackets."""
        marks = [*(["photo"] if self.photo else []), *([_MARKS[self.before]] if self.before else [])]
        return "".join(f"[{mark}] " for mark in marks) + sentence


_BEFORE = (*get_args(Before), None)
