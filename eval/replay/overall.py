"""What a run of replayed calls shows together: coverage by topic, contradictions, missing knowledge with a drafted answer,
time."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from agent.answers import wish_label
from agent.intake import mask_private
from eval.replay.judging import is_small_talk, passes_on, sentences_of
from eval.replay.replay import POLICY, ReplayedCall, ReplayedTurn
from tools.shop.types import Language

if TYPE_CHECKING:
    from tools.catalog.text_encoder import TextEncoder

_SAME_QUESTION = 0.9
"""Cosine of multilingual-e5-small's query vectors from which two questions are taken for one."""


class Missing(BaseModel):
    """Something that customers asked and no clause answers: how often, in which calls, and a draft of an answer in the words of
    the staff.

    The draft is what a person said on the telephone, private data masked. Nobody has checked it: it is for a member of staff to
    mend and put into clauses.jsonl.
    """

    model_config = ConfigDict(frozen=True)

    question: str
    language: Language
    questions: tuple[str, ...]
    calls: tuple[str, ...]
    draft: str

    def as_clause(self, number: int) -> dict[str, object]:
        """The draft in the form of clauses.jsonl."""
        return {
            "id": f"NEW-{number}",
            "kind": "faq",
            "topic": "unanswered",
            "title": {self.language: self.question},
            "text": {self.language: self.draft},
            "questions": list(self.questions),
        }


class Overall(BaseModel):
    """The figures of a run. Seconds are counted over calls whose length is known; `saved_seconds` over those that the agent
    resolved.

    `topics` maps what customers wanted first to how many of those calls ended how, `departures` how the agent's answers first
    parted from the person's. `right` of `known` calls with an expected outcome ended as expected.
    """

    calls: int
    failed: int
    turns: int
    outcomes: dict[str, int]
    topics: dict[str, dict[str, int]]
    departures: dict[str, int]
    contradictions: int
    statements: dict[str, int]
    missing: tuple[Missing, ...]
    checked: int
    replaced: int
    known: int
    right: int
    call_seconds: float
    agent_seconds: float
    saved_seconds: float


def overall(calls: Sequence[ReplayedCall], failed: int, encoder: "Callable[[], TextEncoder]") -> Overall:
    """Sum up a run. `encoder` is only loaded where questions have to be told apart."""
    turns = [turn for call in calls for turn in call.turns]
    timed = [call for call in calls if call.call.seconds is not None]
    topics: dict[str, Counter[str]] = {}
    for call in calls:
        topics.setdefault(topic_of(call), Counter())[call.outcome] += 1
    known = [call for call in calls if call.call.expect]
    return Overall(
        calls=len(calls),
        failed=failed,
        turns=len(turns),
        outcomes=dict(Counter(call.outcome for call in calls)),
        topics={topic: dict(ended) for topic, ended in sorted(topics.items(), key=lambda each: -each[1].total())},
        departures=dict(Counter(departs for call in calls if (departs := first_departs(call))).most_common()),
        contradictions=sum(turn.departs == "contradicts" for turn in turns),
        statements=dict(Counter(each.verdict for turn in turns for each in turn.statements)),
        missing=tuple(missing_knowledge(calls, encoder)),
        checked=sum(turn.checked for turn in turns),
        replaced=sum(turn.replaced for turn in turns),
        known=len(known),
        right=sum(not call.misses() for call in known),
        call_seconds=sum(call.call.seconds or 0 for call in timed),
        agent_seconds=sum(call.agent_seconds for call in timed),
        saved_seconds=sum(
            max(0.0, (call.call.seconds or 0) - call.agent_seconds) for call in timed if call.outcome == "resolved"
        ),
    )


def topic_of(call: ReplayedCall) -> str:
    """What the customer wanted first, in words."""
    if call.goal is None:
        return "no wish understood"
    label = wish_label(call.goal, "en")
    return f"rules: {call.topic or 'not covered'}" if call.goal == POLICY else label


def first_departs(call: ReplayedCall) -> str | None:
    """How the agent's answer first parted from the person's."""
    return call.turns[call.first_departure].departs if call.first_departure is not None else None


def missing_knowledge(calls: Sequence[ReplayedCall], encoder: "Callable[[], TextEncoder]") -> list[Missing]:
    """Questions that no clause answered, those that mean the same together, the most frequent first."""
    # Where the person passed the customer on, nobody has an answer to draft from.
    asked = [(call, turn) for call in calls for turn in call.turns if turn.unknown and not passes_on(turn.human)]
    if not asked:
        return []
    vectors = encoder().queries([turn.customer for _, turn in asked]) if len(asked) > 1 else np.zeros((1, 1), np.float32)
    groups: list[list[int]] = []
    for number in range(len(asked)):
        near = next((group for group in groups if float(vectors[group[0]] @ vectors[number]) >= _SAME_QUESTION), None)
        if near is None:
            groups.append([number])
        else:
            near.append(number)
    return [_missing([asked[number] for number in group]) for group in sorted(groups, key=lambda group: -len(group))]


def _missing(asked: Sequence[tuple[ReplayedCall, ReplayedTurn]]) -> Missing:
    # The shortest way to ask is the title, and the longest answer has the most to correct.
    first = min((turn for _, turn in asked), key=lambda turn: len(turn.customer))
    drafts = [_told(turn.human) for _, turn in asked if turn.language == first.language]
    return Missing(
        question=mask_private(first.customer),
        language=first.language,
        questions=tuple(dict.fromkeys(mask_private(turn.customer) for _, turn in asked)),
        calls=tuple(dict.fromkeys(call.call.id for call, _ in asked)),
        draft=mask_private(max(drafts, key=len, default="")),
    )


def _told(human: str) -> str:
    """What the person said on the matter: no greeting and no question back."""
    kept = [each for each in sentences_of(human) if not is_small_talk(each) and not each.rstrip().endswith(("?", "？"))]
    return " ".join(each.strip() for each in kept)
