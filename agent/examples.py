"""Labelled examples: sentences of customers with the tool that was right, found by similarity.

They show the chat model how to fill the arguments, and which tools are worth allowing at all. The files are
prompts/examples.<language>.yaml; vectors are computed once per content and encoder, and cached.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent import classifier
from agent.classifier import Classifier, Situation
from tools.kit.errors import BadSettings
from tools.kit.phrases import PROMPTS
from tools.shop.types import LANGUAGES, Language

if TYPE_CHECKING:
    from tools.catalog.text_encoder import TextEncoder

Before = Literal["shown", "order", "policy", "size"]


class Example(BaseModel):
    """One labelled sentence. `before` tells what the turn before it was about; `talk` which talk_ phrase answers a "reply"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    say: str
    tool: str
    arguments: dict[str, Any] = {}
    before: Before | None = None
    photo: bool = False
    talk: Literal["greeting", "thanks", "goodbye", "agree", "about_me", "out_of_scope", "unclear"] | None = None

    def as_decision(self) -> str:
        """The decision as the chat model writes it."""
        return json.dumps({"tool": self.tool, "arguments": self.arguments}, ensure_ascii=False)


@dataclass(frozen=True)
class Near:
    """An example and its cosine to the customer's message."""

    example: Example
    cosine: float


# The same safe loader in C, many times as fast, where PyYAML was built with it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
VOTERS = 12
SHARPNESS = 0.015
"""How fast a neighbour's vote falls with its distance, in cosine: e5's cosines of kindred sentences lie within a few hundredths."""
SAME_SITUATION = 0.01
"""Added to an example's cosine where the turn before it was of the same kind."""
SAME_LANGUAGE = 0.01
"""Added where the example is in the customer's language."""


def load_examples(language: Language) -> list[Example]:
    """Read prompts/examples.<language>.yaml. Raises BadSettings with the entry that is wrong."""
    path = PROMPTS / f"examples.{language}.yaml"
    try:
        return TypeAdapter(list[Example]).validate_python(yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER))
    except (ValidationError, yaml.YAMLError) as error:
        raise BadSettings(f"'{path}': {error}") from error


class ExampleBank:
    """All examples with their vectors."""

    def __init__(self, encoder: "TextEncoder", cache_dir: Path) -> None:
        self._encoder = encoder
        self._examples: list[tuple[Language, Example]] = [
            (language, example) for language in LANGUAGES for example in load_examples(language)
        ]
        self._vectors, self._classifier = self._cached(cache_dir)

    def _cached(self, cache_dir: Path) -> tuple[NDArray[np.float32], Classifier]:
        """The examples' vectors and the classifier fitted on them; both change with the examples and the encoder."""
        labelled = [f"{language} {example.model_dump_json()}" for language, example in self._examples]
        source = Path(classifier.__file__).read_text(encoding="utf-8")
        key = hashlib.sha256("\n".join([self._encoder.fingerprint, source, *labelled]).encode()).hexdigest()[:16]
        vectors_path, fitted_path = cache_dir / f"examples-{key}.npy", cache_dir / f"chooser-{key}.npz"
        if vectors_path.exists() and fitted_path.exists():
            return np.load(vectors_path), Classifier.load(fitted_path)
        sentences = [example.say for _, example in self._examples]
        vectors = self._encoder.queries(sentences)
        situations = [Situation(language, example.before, example.photo) for language, example in self._examples]
        fitted = Classifier.fit(sentences, vectors, situations, [example.tool for _, example in self._examples])
        cache_dir.mkdir(parents=True, exist_ok=True)
        fitted.save(fitted_path)
        partial = vectors_path.with_suffix(".partial.npy")
        np.save(partial, vectors)
        partial.replace(vectors_path)
        return vectors, fitted

    def look_up(
        self, said: str, language: Language, *, before: Before | None, photo: bool
    ) -> tuple[list[Near], dict[str, float]]:
        """The nearest examples, and each tool's share of the evidence, the strongest first: half votes, half classifier."""
        vector = self._encoder.queries([said])[0]
        near = self._nearest(vector, language, before, photo=photo)
        voted = votes(near)
        fitted = self._classifier.shares(said, vector, Situation(language, before, photo))
        shares = {tool: (voted.get(tool, 0.0) + share) / 2 for tool, share in fitted.items()}
        return near, dict(sorted(shares.items(), key=lambda item: -item[1]))

    def _nearest(self, vector: NDArray[np.float32], language: Language, before: Before | None, *, photo: bool) -> list[Near]:
        """The examples most like this message, nearest first; those with a photo only if the message has one."""
        nearness = self._vectors @ vector
        for index, (its_language, example) in enumerate(self._examples):
            nearness[index] += SAME_LANGUAGE * (its_language == language) + SAME_SITUATION * (example.before == before)
            if example.photo != photo:
                nearness[index] -= 0.05 if photo else 1.0
        order = np.argsort(-nearness)[:VOTERS]
        return [Near(self._examples[i][1], float(nearness[i])) for i in order]


def votes(near: Sequence[Near]) -> dict[str, float]:
    """How much the nearest examples speak for each tool; the shares add up to 1, the strongest first."""
    weights = np.exp((np.array([each.cosine for each in near]) - near[0].cosine) / SHARPNESS)
    shares: dict[str, float] = {}
    for each, weight in zip(near, weights / weights.sum(), strict=True):
        shares[each.example.tool] = shares.get(each.example.tool, 0.0) + float(weight)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
