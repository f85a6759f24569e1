"""What a customer's question about a product asks, and whether the facts speak of it; the topics are data, prompts/topics.yaml.

A small chat model seldom says that it does not know. Code does: where a question is about a topic that no fact tells of, the answer
is that, and where a fact tells of it, that fact is told.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import yaml

from agent.promises import claims, is_negative
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


def taken_up(sentence: str, said: str, facts: Sequence[Fact], language: Language) -> str | None:
    """A word that the sentence only repeats from the customer's yes-or-no question, and affirms: "Yes, it has goose feathers".

    None where the facts, titles apart, have one of the words repeated, or the sentence tells something of theirs besides.
    """
    if not _answers_yes_or_no(sentence, said, language) or is_negative(sentence.lower()):
        return None
    titles = " ".join(fact.text.removesuffix(_without_title(fact)) for fact in facts).lower()
    told = " ".join(map(_without_title, facts)).lower()
    repeated = [words for words in _repeated(sentence, said, language) if not any(word in titles for word in words)]
    if not repeated or any(word in told for words in repeated for word in words):
        return None
    own = " ".join(fact.text for fact in facts if _without_title(fact) == fact.text).lower()
    is_told_more = any(
        word in own for words in _repeated(sentence, sentence, language) for word in words if word not in said.lower()
    )
    return None if is_told_more or any(number in own for number in re.findall(r"\d+", sentence)) else repeated[0][0]


def contradicted(sentence: str, said: str, facts: Sequence[Fact], language: Language) -> Fact | None:
    """The fact that says no where the sentence, an answer to a yes-or-no question, says yes; or the other way round."""
    repeated = _repeated(sentence, said, language)
    told = " ".join(fact.text for fact in facts).lower()
    is_no = is_negative(sentence.lower())
    # "No, it is not a dark roast" is right where the facts know of a light roast only.
    is_beside = is_no and not all(any(word in told for word in words) for words in repeated)
    if is_beside or not _answers_yes_or_no(sentence, said, language):
        return None
    for words in repeated:
        clauses = [
            (fact, is_negative(clause))
            for fact in facts
            for clause in re.split(r"[.,:;。，：；]", _without_title(fact).lower())
            if any(word in clause for word in words)
        ]
        if clauses and all(says_no != is_no for _, says_no in clauses):
            return clauses[0][0]
    return None


def nearest_facts(said: str, facts: Sequence[Fact], language: Language) -> list[Fact]:
    """The facts that have a word of the message, besides first lines and titles; empty where none has."""
    own = [fact for fact in facts if _without_title(fact) == fact.text]
    titles = " ".join(fact.text for fact in facts if fact not in own).lower()
    asked = [word for words in _repeated(said, said, language) for word in words if word not in titles]
    return [fact for fact in own if any(word in fact.text.lower() for word in asked)]


def _answers_yes_or_no(sentence: str, said: str, language: Language) -> bool:
    is_asked = _matches(claims()["yes_or_no"][language], said.lower())
    says_so = is_asked or _matches(claims()["says_yes"][language], sentence.lower())
    return says_so and not sentence.rstrip().endswith(("?", "？"))


def _repeated(sentence: str, said: str, language: Language) -> list[list[str]]:
    """The question's words that the sentence has too, in all spellings that count as the same; small words left out."""
    small = claims()["small_words"][language]
    lowered = sentence.lower()
    if language == "zh":
        runs = re.findall("[\u4e00-\u9fff]{2,}", re.sub(f"[{small}]", " ", said))
        pairs = [[run[index : index + 2] for index in range(len(run) - 1)] for run in runs]
        return [run for run in pairs if any(pair in lowered for pair in run)]
    words = [word for word in re.findall(r"[a-z]{4,}", said.lower()) if not {word, word.rstrip("s")} & set(small)]
    # "Feathers" and "feather", "recyclable" and "recycled" are the same here.
    stems = [word.rstrip("s")[:6] for word in words]
    return [[stem] for stem in stems if re.search(rf"\b{stem}", lowered)]


def _matches(patterns: Sequence[str], text: str) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)


def _without_title(fact: Fact) -> str:
    """A product's line begins with its title: "Wool Throw: $68.00, in stock" says nothing of washing wool."""
    head = re.match(r"[^:：]+[:：]\s*(?=[^:：]*(?:\d[.,]\d\d|[$€£¥]|price|价))", fact.text)
    return fact.text[head.end() :] if head else fact.text
