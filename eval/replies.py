"""Are written replies faithful, complete, in the right language, short, and do they end with a next step? Pairs in, a score out.

A case is a JSON line: `{"said", "language", "facts": [{"text", "source"}], "must": [[alternatives]], "must_not"?, "next_step"?,
"unknown"?, "before"?}`; the facts are worded as the tools word them. The chat model writes with the prompt that the agent uses; the
reply is scored as it was written and as the agent sends it, after the promise check. What makes a reply right:

- faithful: the promise check objects to no sentence, none says yes to what the facts deny or do not know, nor no to what they affirm,
  and it holds none of `must_not` (wrong claims that code may not see);
- complete: it holds one alternative of every `must`, and where the facts do not know (`unknown`) it says so;
- language: the customer's language; Chinese in simplified characters, with no English words but the facts' and the customer's own;
- short: at most three sentences; list lines are not counted;
- next_step: where the facts leave something to choose (`next_step` is how the tool would ask for it) it ends with one question or
  invitation; it never asks two.
"""

import re
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, SystemMessage
from pydantic import BaseModel, ConfigDict, Field

from agent.asked import contradicted, taken_up
from agent.intake import mask_private
from agent.promises import PromiseCheck, Sentences, claims
from agent.writing import Question, made_reply
from tools.kit.facts import Fact
from tools.kit.json_lines import read_json_lines
from tools.kit.phrases import phrase
from tools.shop.types import LANGUAGES, Language

Criterion = Literal["faithful", "complete", "language", "short", "next_step"]
CRITERIA: tuple[Criterion, ...] = ("faithful", "complete", "language", "short", "next_step")
MOST_SENTENCES = 3

_LIST_LINE = re.compile(r"^\s*(?:\d{1,2}[.)、]|[-*•]).*$", re.M)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_TRADITIONAL = frozenset(
    "們這個說對點沒還會嗎麼為來時過後請問貨價顏質單訂歡選擇兩種實體現該產適與開關給讓應當從經題長頭買賣輕運動號規網無線電腦機圖團處確認變級標準備務華裡國際萬樣條雙書見視聽讀寫東車軟濕乾燈鐘銀錢顧發"
)
"""Characters that only traditional script writes; the commonest ones are enough to tell a text in it."""
_TITLE = re.compile(r"^(.+?)(?:：|: | comes in |共有 )")
_BRACKETS = re.compile(r"[(（]([^()（）]*)[)）][。.]")
_PAIR = re.compile(r"^[^:：]{1,24}(?:：|: )(.{1,40})$")


class Case(BaseModel):
    """A customer's message and the facts that a tool answered, with what a good reply holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    said: str
    language: Language
    facts: tuple[Fact, ...] = Field(min_length=1)
    must: tuple[tuple[str, ...], ...] = ()
    must_not: tuple[str, ...] = ()
    next_step: str | None = None
    """How the tool would ask for what is left to choose; None where nothing is."""
    unknown: bool = False
    """The facts do not answer what was asked."""
    before: tuple[str, ...] = ()
    """What the customer said earlier, for people who read the case; the agent writes without it."""


class Text(BaseModel):
    """A reply and, by criterion, whether it is right."""

    text: str
    right: dict[Criterion, bool]

    @property
    def all_right(self) -> bool:
        """Whether no criterion is missed."""
        return all(self.right.values())


class Outcome(BaseModel):
    """What became of a case: the reply as the model wrote it and as the agent sends it, and the seconds from question to end."""

    case: Case
    written: Text
    sent: Text
    why: tuple[str, ...]
    seconds: float


class ShopWords(BaseModel):
    """Titles and option values of all the cases' products, as a shop that sells them all would know them; lower case."""

    titles: frozenset[str]
    vocabulary: frozenset[str]


def read_cases(path: Path) -> list[Case]:
    """Read a file of cases, one JSON object a line. Raises OperatorError with file and line."""
    return read_json_lines(path, Case)


def spread(cases: Sequence[Case], limit: int | None) -> list[Case]:
    """So many cases, taken evenly from the whole list; all of them without a limit."""
    if limit is None or limit >= len(cases):
        return list(cases)
    return [cases[index * len(cases) // limit] for index in range(limit)]


def titles_of(facts: Iterable[Fact]) -> dict[str, tuple[str, ...]]:
    """Each product's title by its id: what the first fact of the product begins with."""
    titles: dict[str, tuple[str, ...]] = {}
    for fact in facts:
        kind, _, product = fact.source.partition(":")
        if kind == "product" and product not in titles and (found := _TITLE.match(fact.text)):
            titles[product] = (found[1],)
    return titles


def words_of(cases: Iterable[Case]) -> ShopWords:
    """What the promise check has to know of the shop: titles, colours, materials and other short values."""
    titles: set[str] = set()
    values: set[str] = set()
    for case in cases:
        titles |= {title.lower() for names in titles_of(case.facts).values() for title in names}
        for fact in case.facts:
            if not fact.source.startswith("product:"):
                continue
            listed = _BRACKETS.search(fact.text)
            parts = re.split("[;；]", listed[1]) if listed else [fact.text]
            for part in parts:
                if pair := _PAIR.match(part.strip()):
                    values |= {value.strip().lower() for value in (re.split(", |、", pair[1]) if listed else [pair[1]])}
    # As in the agent: codes and sizes are held by the number check.
    return ShopWords(
        titles=frozenset(titles),
        vocabulary=frozenset(
            value for value in values if 1 < len(value) <= 20 and not any(character.isdigit() for character in value)
        ),
    )


def check_of(case: Case, words: ShopWords) -> PromiseCheck:
    """A promise check for one reply, as the agent makes it."""
    return PromiseCheck(
        case.facts,
        said=case.said,
        titles=titles_of(case.facts),
        catalogue_titles=words.titles,
        vocabulary=words.vocabulary,
    )


def score_reply(case: Case, reply: str, words: ShopWords) -> Text:
    """Hold a reply against every criterion."""
    sentences = _sentences(reply)
    check = check_of(case, words)
    lowered = reply.lower()
    return Text(
        text=reply,
        right={
            "faithful": not any(
                check.objection(sentence) for sentence in sentences if not _code_admits(sentence, case.language)
            )
            and not any(
                contradicted(sentence, case.said, case.facts, case.language)
                or taken_up(sentence, case.said, case.facts, case.language)
                for sentence in sentences
            )
            and not any(_holds(lowered, words) for words in case.must_not),
            "complete": all(any(_holds(lowered, words) for words in group) for group in case.must)
            and (not case.unknown or admits(reply, case.language)),
            "language": _is_in_language(case, reply),
            "short": bool(sentences) and len(_sentences(_LIST_LINE.sub("", reply))) <= MOST_SENTENCES,
            "next_step": _has_next_step(case, sentences),
        },
    )


def admits(reply: str, language: Language) -> bool:
    """Whether the reply says that something is not known."""
    lowered = reply.lower().replace("’", "'")
    return any(re.search(pattern, lowered) for pattern in claims()["unknown"][language])


def _code_admits(sentence: str, language: Language) -> bool:
    """Whether it is the agent's own sentence on what is not known: it names what was asked and claims nothing of it."""
    if sentence == phrase("not_known_this", language):
        return True
    before, _, after = phrase("not_known", language, what="\0").partition("\0")
    return sentence.startswith(before) and sentence.endswith(after)


def _holds(lowered: str, words: str) -> bool:
    """Whether the text holds the words, as whole numbers and from a word's beginning: "2" is not in "12", nor "tin" in "satin".

    「是深烘」 is not in 「不是深烘」.
    """
    before = (
        "(?<![不没])"
        if _HAN.match(words)
        else r"(?<![\d.,])"
        if words[0].isdigit()
        else r"(?<![a-z])"
        if words[0].isalpha()
        else ""
    )
    # "$79.00" holds "79".
    after = r"(?!\d|[.,](?!00\b)\d)" if words[-1].isdigit() else ""
    return bool(re.search(before + re.escape(words.lower()) + after, lowered))


def _sentences(text: str) -> list[str]:
    cutter = Sentences()
    whole = [*cutter.feed(text), cutter.end()]
    return [sentence.strip() for sentence in whole if re.search(r"\w", sentence)]


def _is_in_language(case: Case, reply: str) -> bool:
    known = " ".join([case.said, case.next_step or "", *(fact.text for fact in case.facts)])
    if case.language == "en":
        return bool(re.search("[A-Za-z]", reply)) and set(_HAN.findall(reply)) <= set(_HAN.findall(known))
    # Short words such as "OK" are Chinese by now.
    english = {word for word in re.findall(r"[A-Za-z]{4,}", reply) if word.lower() not in known.lower()}
    return bool(_HAN.search(reply)) and not english and not (_TRADITIONAL & set(reply) - set(known))


def _has_next_step(case: Case, sentences: Sequence[str]) -> bool:
    steps = [index for index, sentence in enumerate(sentences) if _is_step(sentence, case.language)]
    if len(steps) > 1:
        return False
    return case.next_step is None or steps == [len(sentences) - 1]


def _is_step(sentence: str, language: Language) -> bool:
    lowered = sentence.lower()
    return lowered.endswith(("?", "？")) or any(words in lowered for words in claims()["invitations"][language])


def measure_replies(model: BaseChatModel, prefix: str, cases: Sequence[Case], words: ShopWords) -> Iterator[Outcome]:
    """Let the agent make every reply, and score what the model wrote and what is sent; `prefix` is the agent's own."""
    for case in cases:
        whole: list[AIMessageChunk] = []
        why: list[str] = []
        check = check_of(case, words)
        question = Question(
            said=mask_private(case.said),
            language=case.language,
            facts=case.facts,
            titles=titles_of(case.facts),
            next_step=case.next_step,
        )
        began = time.perf_counter()
        pieces = made_reply(model, SystemMessage(prefix), question, check, count=whole.append, note=why.append)
        sent = "".join(pieces).strip()
        seconds = time.perf_counter() - began
        why += [f"{each.sentence!r}: {each.why}" for each in check.replaced]
        yield Outcome(
            case=case,
            # Where code answers alone, the model writes nothing that could be scored.
            written=score_reply(case, whole[0].text.strip() if whole else sent, words),
            sent=score_reply(case, sent, words),
            why=tuple(why),
            seconds=seconds,
        )


def score(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Shares of right replies as written and as sent: by criterion, all criteria at once, by language; median seconds a reply."""
    languages = [language for language in LANGUAGES if any(outcome.case.language == language for outcome in outcomes)]
    return {
        "cases": len(outcomes),
        "written": _shares([outcome.written for outcome in outcomes]),
        "sent": _shares([outcome.sent for outcome in outcomes]),
        "unknown": {
            "cases": sum(outcome.case.unknown for outcome in outcomes),
            "written": _share([outcome.written.right["complete"] for outcome in outcomes if outcome.case.unknown]),
            "sent": _share([outcome.sent.right["complete"] for outcome in outcomes if outcome.case.unknown]),
        },
        "by_language": {
            language: {
                "written": _shares([outcome.written for outcome in outcomes if outcome.case.language == language]),
                "sent": _shares([outcome.sent for outcome in outcomes if outcome.case.language == language]),
            }
            for language in languages
        },
        "seconds_median": statistics.median(outcome.seconds for outcome in outcomes),
    }


def _shares(texts: Sequence[Text]) -> dict[str, float]:
    shares: dict[str, float] = {criterion: _share([text.right[criterion] for text in texts]) for criterion in CRITERIA}
    return {**shares, "all": _share([text.all_right for text in texts])}


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right) if right else 0.0


def misses(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """What was sent and is not right, with the criteria it misses and why sentences were replaced."""
    return [
        {
            "said": outcome.case.said,
            "written": outcome.written.text,
            "sent": outcome.sent.text,
            "missed": [criterion for criterion in CRITERIA if not outcome.sent.right[criterion]],
            "replaced": list(outcome.why),
        }
        for outcome in outcomes
        if not outcome.sent.all_right
    ]
