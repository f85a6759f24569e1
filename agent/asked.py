"""What a customer's question about a product asks, and whether the facts speak of it; the topics are data, prompts/topics.yaml.

A small chat model seldom says that it does not know. Code does: where a question is about a topic that no fact tells of, the answer
is that, and where a fact tells of it, that fact is told.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import yaml

from tools.kit.errors import BadSettings
from tools.kit.facts import Fact
from tools.kit.phrases import PROMPTS
from tools.shop.types import LANGUAGES, Language


@dataclass(frozen=True)
class Topic:
    """One thing that customers ask of products: how code calls it, and the words of questions and of facts, by language."""

    id: str
    names: dict[Language, str]
    asked: dict[Language, re.Pattern[str]]
    told: dict[Language, re.Pattern[str]]
    in_first_line: bool
    """Whether it is told where a product's title, price and options are."""

    def facts_among(self, facts: Sequence[Fact], language: Language) -> list[Fact]:
        """The facts that speak of the topic, a product's first line only if no other does or it is meant; a title says nothing."""
        found = [fact for fact in facts if self.told[language].search(_without_title(fact))]
        return [fact for fact in found if (_without_title(fact) != fact.text) == self.in_first_line] or found


@cache
def _topics() -> tuple[Topic, ...]:
    path = PROMPTS / "topics.yaml"
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        return tuple(
            Topic(
                id=name,
                names={language: topic["name"][language] for language in LANGUAGES},
                asked={language: re.compile("|".join(topic[language]["asked"]), re.I) for language in LANGUAGES},
                told={language: re.compile("|".join(topic[language]["told"]), re.I) for language in LANGUAGES},
                in_first_line=topic.get("first_line", False),
            )
            for name, topic in loaded.items()
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, re.error) as error:
        raise BadSettings(f"'{path}': {error!r}; every topic needs a name, and asked and told in both languages.") from error


def topics_asked(said: str, language: Language) -> list[Topic]:
    """The topics that the message asks about."""
    return [topic for topic in _topics() if topic.asked[language].search(said)]


def _without_title(fact: Fact) -> str:
    """A product's line begins with its title: "Wool Throw: $68.00, in stock" says nothing of washing wool."""
    head = re.match(r"[^:：]+[:：]\s*(?=[^:：]*(?:\d[.,]\d\d|[$€£¥]|price|价))", fact.text)
    return fact.text[head.end() :] if head else fact.text
