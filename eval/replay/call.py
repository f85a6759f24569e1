"""One form for recorded conversations, wherever they come from.

A call is a list of utterances in the order in which they began. In a file it is YAML or JSON:

    at: 2026-11-20T10:15:00-05:00     # when it began; left out: the shop's present day
    customer: c001                    # who called, if that is known; left out: told by what they say
    utterances:
      - {speaker: agent, start_ms: 0, end_ms: 1800, text: "Harbour and Pine, how can I help?"}
      - {speaker: customer, start_ms: 2100, end_ms: 4000, text: "Where is my order 1042?", channel: 1, confidence: 0.91}
    expect: {tools: [track_order], sources: ["order:1042"]}

`start_ms` and `end_ms` count from the beginning of the recording, null where nobody wrote them down; `channel` is that of the
recording, from 0; `confidence` is the recogniser's, 0 to 1; `language` is "en" or "zh"; `redacted` tells that something private
was cut out. Of a call in another form (readers/), all but the utterances stands beside it in NAME.call.yaml, with `speakers`
where its file has other names for them: `speakers: {spk_0: customer}`.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tools.kit.errors import OperatorError
from tools.shop.types import Language

Speaker = Literal["customer", "agent", "system"]


class UnreadableCall(OperatorError):
    """A file holds no conversation that can be read."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Utterance(_Part):
    """Something said by one speaker without another one between."""

    speaker: Speaker
    text: Annotated[str, Field(min_length=1)]
    start_ms: Annotated[int, Field(ge=0)] | None = None
    end_ms: Annotated[int, Field(ge=0)] | None = None
    channel: Annotated[int, Field(ge=0)] | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    language: Language | None = None
    redacted: bool = False


class Problem(_Part):
    """Something in a file that was left out or guessed: where it stands, and what about it."""

    place: str
    what: str


class Moved(_Part):
    """An entry of the shop's ledger: its order, its kind ("refund", "refund_promised", "payment") and what it is worth in
    cents."""

    order: str
    kind: str
    cents: int


class Expected(_Part):
    """The right outcome of a call, as far as it is known.

    `tools` have run, `sources` stand behind what was told ("clause:RET-1", "order:1042"), `says` stand in the agent's replies,
    `committed` is exactly what moved in the ledger; None where that does not matter.
    """

    outcome: Literal["resolved", "handed_over", "open"] | None = None
    tools: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    committed: tuple[Moved, ...] | None = None


class About(_Part):
    """What stands beside a call: NAME.call.yaml."""

    at: AwareDatetime | None = None
    customer: str | None = None
    speakers: dict[str, Speaker] = {}
    expect: Expected | None = None


@dataclass(frozen=True)
class Exchange:
    """What the customer said, in one piece, and what the person answered, a line an utterance; "" for no answer.

    `start_ms` is the customer's.
    """

    customer: str
    human: str
    start_ms: int | None


class Call(_Part):
    """A recorded conversation; `format` is the reader's that read it, `id` its name in reports."""

    id: str
    format: str
    utterances: tuple[Utterance, ...]
    at: AwareDatetime | None = None
    customer: str | None = None
    problems: tuple[Problem, ...] = ()
    expect: Expected | None = None

    @property
    def seconds(self) -> float | None:
        """How long the conversation was; None where no time was written down."""
        ends = [
            time for each in self.utterances if (time := each.end_ms if each.end_ms is not None else each.start_ms) is not None
        ]
        return max(ends) / 1000 if ends and max(ends) > 0 else None

    def exchanges(self) -> list[Exchange]:
        """The customer's turns with the answers that followed; what was said before the first is left out, and so is the
        system."""
        turns: list[tuple[list[Utterance], list[Utterance]]] = []
        for each in self.utterances:
            if each.speaker == "system":
                continue
            if each.speaker == "customer":
                if not turns or turns[-1][1]:
                    turns.append(([], []))
                turns[-1][0].append(each)
            elif turns:
                turns[-1][1].append(each)
        return [
            Exchange(_joined(customer), "\n".join(each.text.strip() for each in human), customer[0].start_ms)
            for customer, human in turns
        ]


def _joined(said: list[Utterance]) -> str:
    """One message of several pieces: with a space between, but for Chinese."""
    whole = ""
    for each in said:
        is_chinese = bool(re.search(r"[\u3000-\u9fff\uff00-\uffef]$", whole))
        whole += ("" if is_chinese or not whole else " ") + each.text.strip()
    return whole
