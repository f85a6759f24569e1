"""A turn as a front end follows it: the agent's events as AG-UI 1.0 events."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
)

from agent.events import Event, Heard, Said, Step, ToolStarted, Turn
from agent.server.cards import Cards
from tools.commit_quote import commit_quote
from tools.kit.phrases import phrase
from tools.shop.types import Language

Emit = Callable[[BaseEvent], None]


class Telling:
    """Tells one run. `quote` is the id of the card that waited for an answer when it began."""

    def __init__(self, emit: Emit, cards: Cards, language: Language, quote: str | None) -> None:
        self._emit, self._cards, self._language, self._quote = emit, cards, language, quote
        self.message_id = uuid4().hex
        self.turn: Turn | None = None
        self.more: dict[str, Any] = {}
        """What is kept beside the answer: its cards, by the name of their event, and `settled`."""
        self.settled: dict[str, str] | None = None
        """The quote that waited, its `id`, and the `state` it came to: confirmed, declined or expired."""
        self.said = ""
        self._call_id = ""
        self._is_writing = False

    def tell(self, event: Event) -> None:
        """Tell one of the agent's events."""
        match event:
            case Heard():
                self.custom("heard", {"text": event.text})
            case ToolStarted():
                self._call_id = uuid4().hex
                self._emit(ToolCallStartEvent(tool_call_id=self._call_id, tool_call_name=event.tool))
            case Step():
                arguments = json.dumps(event.arguments, ensure_ascii=False)
                self._emit(ToolCallArgsEvent(tool_call_id=self._call_id, delta=arguments))
                self._emit(ToolCallEndEvent(tool_call_id=self._call_id))
                self._emit(
                    ToolCallResultEvent(
                        message_id=uuid4().hex, tool_call_id=self._call_id, content=phrase(f"did_{event.tool}", self._language)
                    )
                )
            case Said() if event.text:
                if not self._is_writing:
                    self._is_writing = True
                    self._emit(TextMessageStartEvent(message_id=self.message_id, role="assistant"))
                self._emit(TextMessageContentEvent(message_id=self.message_id, delta=event.text))
                self.said += event.text
            case Turn():
                self.turn = event
                self.end_text()
                self._tell_cards(event)
            case _:
                pass

    def end_text(self) -> None:
        """Close the message that is being written, if one is."""
        if self._is_writing:
            self._emit(TextMessageEndEvent(message_id=self.message_id))
            self._is_writing = False

    def custom(self, name: str, value: Any) -> None:
        """Tell something of our own."""
        self._emit(CustomEvent(name=name, value=value))

    def _tell_cards(self, turn: Turn) -> None:
        self._settle(turn)
        cards = {
            "products": self._cards.products(turn.steps, turn.language),
            "quote": self._cards.quote(turn.quote, turn.steps, turn.language) if turn.quote else None,
            "sources": self._cards.sources(turn),
            "quickReplies": list(turn.quick_replies),
        }
        self.more = {name: value for name, value in cards.items() if value}
        for name, value in self.more.items():
            self.custom(name, value)
        if self.settled:
            self.more["settled"] = self.settled

    def _settle(self, turn: Turn) -> None:
        """Tell what became of the quote that waited."""
        committing = next((step for step in turn.steps if step.tool == commit_quote.name), None)
        done = (
            next((fact.source for fact in committing.facts if fact.source.startswith("quote:")), None) if committing else None
        )
        if committing and turn.quote is None and done:
            self._tell_settled(done.removeprefix("quote:"), "confirmed", turn.reply)
        elif committing and self._quote:
            self._tell_settled(self._quote, "expired", committing.facts[0].text)
        elif self._quote and not turn.steps and turn.reply == phrase("quote_dropped", turn.language):
            self._tell_settled(self._quote, "declined", turn.reply)

    def _tell_settled(self, quote_id: str, state: str, text: str) -> None:
        self.settled = {"id": quote_id, "state": state}
        self.custom("quoteSettled", {**self.settled, "text": text})
