"""How a reply is made from facts: the chat model writes its sentences, code sees that they are true, answer the question and end well.

It knows nothing of turns or tools; the same function serves a conversation and the measurement of replies. What code does by itself,
because a small model does it badly: it says what is not known, tells the fact that was asked for where the model left it out, and asks
for what is left to choose. The model is held to few sentences.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, AnyMessage, HumanMessage, SystemMessage

from agent.asked import Topic, contradicted, nearest_facts, taken_up, topics_asked
from agent.promises import PromiseCheck, Sentences, tells
from agent.prompts import fill
from tools.kit.errors import ModelFailed
from tools.kit.facts import Fact
from tools.kit.phrases import phrase
from tools.shop.types import Language

TOLD_PLAINLY = 8
"""Facts told as they are where the chat model wrote nothing that may be sent."""
MOST_SENTENCES = 3
"""Of a whole reply; lines of a list are not counted."""

FACTS_ADDED = 2
"""Facts that code tells on the one thing that was asked, where the chat model told none."""

_LIST_LINE = re.compile(r"^\s*(?:\d{1,2}[.)、]|[-*•])\s")


@dataclass(frozen=True)
class Question:
    """What a reply is written for.

    `titles` are the products' titles by their id; `next_step` asks for what the facts leave to choose, None where nothing is left.
    `is_whole` is False where another tool has answered a part of the message: what these facts do not tell may stand there.
    """

    said: str
    language: Language
    facts: tuple[Fact, ...]
    titles: dict[str, tuple[str, ...]]
    next_step: str | None = None
    is_whole: bool = True


@dataclass
class _Noted:
    """Kept while a reply is written."""

    count: Callable[[AIMessageChunk], None]
    note: Callable[[str], None]
    told: list[str] = field(default_factory=list)

    def tell(self, text: str) -> str:
        self.told.append(text)
        return text

    @property
    def text(self) -> str:
        return "".join(self.told)


def reply_messages(prefix: SystemMessage, question: Question) -> list[AnyMessage]:
    """What the chat model reads to write a reply, the facts that were asked for first.

    No earlier turns are among it: what was true of the last product would be told of this one.
    """
    asked = [
        fact
        for topic in topics_asked(question.said, question.language)
        for fact in topic.facts_among(question.facts, question.language)
    ]
    facts = dict.fromkeys([*_openings(question.facts), *asked, *question.facts])
    lines = "\n".join(f"- {_named(fact, question)}" for fact in facts)
    return [prefix, HumanMessage(fill(f"reply.{question.language}.md", said=question.said, facts=lines))]


def written_sentences(
    model: BaseChatModel, messages: list[AnyMessage], count: Callable[[AIMessageChunk], None]
) -> Iterator[str]:
    """The model's reply, sentence by sentence; a last sentence that was cut off by a limit is dropped.

    `count` gets the whole message at its end, for its tokens. Raises ModelFailed as the model does.
    """
    sentences, whole = Sentences(), AIMessageChunk(content="")
    for chunk in model.stream(messages):
        whole += chunk
        yield from sentences.feed(chunk.text)
    count(whole)
    if whole.response_metadata.get("finish_reason") != "length" and (rest := sentences.end()):
        yield rest


def made_reply(
    model: BaseChatModel,
    prefix: SystemMessage,
    question: Question,
    check: PromiseCheck,
    *,
    count: Callable[[AIMessageChunk], None],
    note: Callable[[str], None],
) -> Iterator[str]:
    """The reply, piece by piece as it may be sent.

    `count` gets what the model wrote, for its tokens; `note` a reason for the trace. A model that fails is noted: the facts are there and
    are told as they are.
    """
    noted = _Noted(count, note)
    topics = topics_asked(question.said, question.language)
    told_of = [topic for topic in topics if topic.facts_among(question.facts, question.language)]
    unknown = [topic for topic in topics if topic not in told_of] if question.is_whole else []
    if unknown and not told_of:
        note(f"no fact tells of {', '.join(topic.id for topic in unknown)}")
        yield _not_known(unknown, question.language)
        return
    closing = phrase("not_known_next", question.language) if unknown else question.next_step
    left = MOST_SENTENCES - bool(closing) - bool(unknown)
    asked, doubted = "", False
    try:
        for sentence in written_sentences(model, reply_messages(prefix, question), count):
            is_listed = bool(_LIST_LINE.match(sentence.lstrip("\n")))
            if not sentence.strip() or (left <= 0 and not is_listed and not _is_question(sentence)):
                continue
            if fact := contradicted(sentence, question.said, question.facts, question.language):
                note(f"replaced: {sentence.strip()!r} because {fact.text!r} says the opposite")
                sentence = sentence[: len(sentence) - len(sentence.lstrip())] + _ended(fact.text, question.language)
                if sentence.strip() in noted.text:
                    continue
            elif word := taken_up(sentence, question.said, question.facts, question.language):
                note(f"not sent: {sentence.strip()!r} because '{word}' stands in no fact")
                doubted = True
                continue
            sent, asked = check.pass_or_replace(sentence), ""
            if _is_question(sent):
                # Only a question that ends the reply is asked, and one is enough.
                asked = sent.strip()
                continue
            if sent.strip() and not is_listed:
                if left == 1 and _left_out(told_of, question, check, noted.text + sent):
                    # The last sentence is kept for what was asked.
                    left = 0
                    continue
                left -= _count(sent)
            if sent:
                yield noted.tell(sent)
    except ModelFailed as failure:
        note(f"the chat model failed while writing: {failure}")
    for text in _left_out(told_of, question, check, noted.text):
        note(f"told by code: {text!r}")
        yield noted.tell(_joined(noted.text, text, question.language))
    if doubted and not told_of:
        closing = phrase("not_known_next", question.language)
        yield noted.tell(_joined(noted.text, phrase("not_known_this", question.language), question.language))
    elif not check.has_told and not told_of:
        if near := nearest_facts(question.said, check.tellable, question.language)[: MOST_SENTENCES - 1]:
            for fact in near:
                yield noted.tell(_joined(noted.text, _ended(fact.text, question.language), question.language))
        else:
            yield noted.tell("\n" * bool(noted.text.strip()) + _plainly(check.tellable, question.language) + "\n")
    if unknown:
        yield noted.tell(_joined(noted.text, _do_not_know(unknown, question.language), question.language))
    if last := closing if unknown or doubted else asked or closing:
        yield noted.tell(_joined(noted.text, last, question.language))


def _count(text: str) -> int:
    cutter = Sentences()
    return len([sentence for sentence in (*cutter.feed(text), cutter.end()) if sentence.strip()])


def _is_question(sentence: str) -> bool:
    return sentence.rstrip().endswith(("?", "？"))


def _joined(before: str, text: str, language: Language) -> str:
    space = "" if language == "zh" or not before or before.endswith((" ", "\n")) else " "
    return f"{space}{text}"


def _not_known(topics: Sequence[Topic], language: Language) -> str:
    said = _do_not_know(topics, language)
    return said + _joined(said, phrase("not_known_next", language), language)


def _do_not_know(topics: Sequence[Topic], language: Language) -> str:
    what = ("，也不知道" if language == "zh" else ", nor ").join(topic.names[language] for topic in topics[:2])
    return phrase("not_known", language, what=what)


def _left_out(topics: Iterable[Topic], question: Question, check: PromiseCheck, told: str) -> list[str]:
    """A sentence for each product on the topics that were asked about and are not told: the facts nearest to the question."""
    chosen: dict[str, list[Fact]] = {}
    near = nearest_facts(question.said, check.tellable, question.language)
    missing = 0
    for topic in topics:
        about: dict[str, list[Fact]] = {}
        for fact in sorted(topic.facts_among(check.tellable, question.language), key=lambda fact: fact not in near):
            about.setdefault(fact.source, []).append(fact)
        untold = {source: facts for source, facts in about.items() if not any(tells(told, fact) for fact in facts)}
        missing += bool(untold)
        for source, facts in untold.items():
            chosen.setdefault(source, []).extend(facts)
    most = FACTS_ADDED if missing == 1 and len(chosen) == 1 else max(missing, 1)
    joint = "；" if question.language == "zh" else "; "
    sentences = []
    for facts in chosen.values():
        texts = [fact.text.rstrip(".。") for fact in dict.fromkeys(facts)][:most]
        if len(chosen) > 1:
            texts[0] = _named(facts[0], question).rstrip(".。")
        sentences.append(_ended(joint.join(texts), question.language))
    return sentences


def _ended(text: str, language: Language) -> str:
    return text if text.endswith((".", "。", "!", "！")) else text + ("。" if language == "zh" else ".")


def _openings(facts: Sequence[Fact]) -> list[Fact]:
    """The first fact of every source: what it is, what it costs, whether it is there."""
    first: dict[str, Fact] = {}
    for fact in facts:
        first.setdefault(fact.source, fact)
    return list(first.values())


def _named(fact: Fact, question: Question) -> str:
    """The fact, with its product's title where there are several products and it does not say of which it speaks."""
    titles = question.titles.get(fact.source.partition(":")[2], ()) if fact.source.startswith("product:") else ()
    if len(question.titles) < 2 or not titles or any(title in fact.text for title in titles):
        return fact.text
    own = next((title for title in titles if any(title in each.text for each in question.facts)), titles[0])
    return f"{own}{'：' if question.language == 'zh' else ': '}{fact.text}"


def _plainly(facts: Sequence[Fact], language: Language) -> str:
    return "\n".join([phrase("facts_only", language), *(f"- {fact.text}" for fact in facts[:TOLD_PLAINLY])])
