"""Runs: each message of a customer is answered once, in a thread, whether or not anybody listens.

One conversation has one writer: its next message waits until the one before is answered. Among conversations, turns are taken in the
order in which they came, `turns_at_once` at a time. Every event is on disk before it is sent, so that a stream can be read again from
any event, also after a crash. It does not know HTTP.
"""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    RunErrorEvent,
    RunFinishedCancelledOutcome,
    RunFinishedEvent,
    RunStartedEvent,
)
from opentelemetry import context as tracing
from opentelemetry.context import Context

from agent.handover import HandoverDesk
from agent.intake import mask_private
from agent.models.stopping import stoppable
from agent.server.cards import Cards
from agent.server.identity import Visitor
from agent.server.metrics import Metrics
from agent.server.problems import Problem
from agent.server.signals import Signal
from agent.server.store import Conversation, RunState, Shown, Store
from agent.server.telling import Telling
from agent.server.tracing import traced
from agent.session import Session
from agent.settings import ServerSettings
from agent.turn import Agent, Message
from tools.kit.clock import Clock
from tools.kit.phrases import phrase

log = logging.getLogger("storehand.server")
STOPPING_SECONDS = 10
"""Given to answers that were stopped because the server ends."""


@dataclass
class Run:
    """One message and its answer. `events` are JSON, the first has the number 1; nobody changes what stands there."""

    id: str
    visitor: Visitor
    message: Callable[[], Message]
    """Read when its turn has come: a photo or recording need not lie in memory while it waits."""
    signal: Signal
    saw_quote: str
    """The quote that waited for an answer as this was said, or ""."""
    events: list[str] = field(default_factory=list)
    is_over: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    began: Context = field(default_factory=tracing.get_current)
    """The trace of the request that began it."""


class Runs:
    """All runs of the process. `on_change` is told the conversation in which something was said."""

    def __init__(
        self,
        agent: Agent,
        store: Store,
        desk: HandoverDesk,
        cards: Cards,
        settings: ServerSettings,
        clock: Clock,
        metrics: Metrics,
        new_signal: Callable[[], Signal],
        on_change: Callable[[str], None],
    ) -> None:
        self._agent, self._store, self._desk, self._cards = agent, store, desk, cards
        self._settings, self._clock, self._metrics, self._new_signal = settings, clock, metrics, new_signal
        self._on_change = on_change
        self._lock = threading.Lock()
        self._live: dict[tuple[str, str], Run] = {}
        self._queues: dict[str, deque[Run]] = {}
        """By conversation: the run that is under way, then those that wait for it."""
        self._pool = ThreadPoolExecutor(settings.turns_at_once, thread_name_prefix="turn")
        self._is_closing = False

    def fail_left_over(self) -> None:
        """End the runs that the last process left: nobody answers them any more, and whoever reads on has to know."""
        for conversation, run_id in self._store.open_runs():
            reference = secrets.token_hex(4)
            kept = self._store.conversation(conversation)
            sorry = phrase("model_failed", (kept and kept.language) or "en", reference=reference)
            number = len(self._store.events(conversation, run_id)) + 1
            last = (number, _json(RunErrorEvent(message=sorry, code=reference)))
            self._store.end_run(conversation, run_id, "failed", last, at=self._clock())

    def start(
        self, visitor: Visitor, run_id: str, text: str, message: Callable[[], Message], more: dict[str, Any]
    ) -> Run | list[str]:
        """Answer a message, or wait with it. `more` is shown with the customer's message.

        The same id again is the same run; of one that is over, its events.
        Raises Problem: 429 if too many messages wait in this conversation, 503 if too many conversations do.
        """
        key = (visitor.conversation, run_id)
        with self._lock:
            if known := self._live.get(key):
                return known
            if self._store.run_state(*key) is not None:
                return self._store.events(*key)
            queue = self._queues.get(visitor.conversation, deque())
            self._check_room(queue)
            run = Run(
                run_id, visitor, message, self._new_signal(), _waiting(self._store.conversation(visitor.conversation)) or ""
            )
            asked = Shown(uuid4().hex, run_id, "customer", mask_private(text), self._clock(), more)
            self._store.begin_run(visitor.conversation, run_id, asked)
            ahead = len(queue) or max(0, len(self._queues) + 1 - self._settings.turns_at_once)
            queue.append(run)
            self._queues[visitor.conversation] = queue
            self._live[key] = run
            self._emit(run, RunStartedEvent(thread_id=visitor.conversation, run_id=run_id))
            if ahead:
                self._emit(run, CustomEvent(name="queued", value={"ahead": ahead}))
            if len(queue) == 1:
                self._pool.submit(self._answer, run)
        self._on_change(visitor.conversation)
        return run

    def find(self, conversation: str, run_id: str) -> Run | list[str] | None:
        """A run under way, or the events of one that is over; None if the conversation has no such run."""
        with self._lock:
            if run := self._live.get((conversation, run_id)):
                return run
        if self._store.run_state(conversation, run_id) is None:
            return None
        return self._store.events(conversation, run_id)

    def active(self, conversation: str) -> str | None:
        """The id of the conversation's last run that is not over."""
        with self._lock:
            queue = self._queues.get(conversation)
            return queue[-1].id if queue else None

    def stop(self, conversation: str, run_id: str) -> bool:
        """Press the stop button of a run; False if it is over, or unknown."""
        with self._lock:
            run = self._live.get((conversation, run_id))
        if run is None:
            return False
        run.stop.set()
        return True

    def close(self) -> None:
        """Take no more; give those under way their time, then stop them: what they have said is kept."""
        with self._lock:
            self._is_closing = True
        self._wait_for_the_last(self._settings.shutdown_seconds)
        with self._lock:
            for run in self._live.values():
                run.stop.set()
        self._wait_for_the_last(STOPPING_SECONDS)
        # What does not end even so is told when the next process starts.
        self._pool.shutdown(wait=False)

    def _wait_for_the_last(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while self._queues and time.monotonic() < ends:
            time.sleep(0.05)

    def _check_room(self, queue: deque[Run]) -> None:
        if self._is_closing:
            raise Problem(503, "closing", "We are back in a moment; please try again.", retry_after_s=10)
        if len(queue) > self._settings.waiting_messages:
            raise Problem(429, "too_many_waiting", "Please wait for the answer to your last messages.", retry_after_s=5)
        if not queue and len(self._queues) >= self._settings.turns_at_once + self._settings.waiting_turns:
            raise Problem(503, "busy", "Very many people are asking at the moment; please try again.", retry_after_s=15)

    def _emit(self, run: Run, event: BaseEvent) -> None:
        data = _json(event)
        self._store.add_event(run.visitor.conversation, run.id, len(run.events) + 1, data)
        run.events.append(data)
        run.signal.notify()

    def _answer(self, run: Run) -> None:
        conversation = run.visitor.conversation
        self._metrics.running.inc()
        try:
            self._tell(run)
        except Exception as error:
            # Whatever it was, the customer is told, and the conversation goes on.
            reference = secrets.token_hex(4)
            log.exception("a run failed", exc_info=error, extra={"reference": reference})
            kept = self._store.conversation(conversation)
            sorry = phrase("model_failed", (kept and kept.language) or "en", reference=reference)
            self._end(run, "failed", RunErrorEvent(message=sorry, code=reference))
        finally:
            self._metrics.running.dec()
            with self._lock:
                run.is_over = True
                self._live.pop((conversation, run.id), None)
                queue = self._queues[conversation]
                queue.popleft()
                if queue:
                    # At the end of the line: nobody's second message goes before another one's first.
                    self._pool.submit(self._answer, queue[0])
                else:
                    del self._queues[conversation]
            run.signal.notify()
            self._on_change(conversation)

    def _tell(self, run: Run) -> None:
        visitor = run.visitor
        kept = self._store.conversation(visitor.conversation)
        language = (kept and kept.language) or "en"
        telling = Telling(lambda event: self._emit(run, event), self._cards, language, _waiting(kept))
        if not run.stop.is_set():
            with stoppable(run.stop):
                session = Session(visitor.conversation, visitor.customer)
                message = run.message()
                if message.saw_quote is None:
                    message = replace(message, saw_quote=run.saw_quote)
                for event in traced(self._agent.answer(session, message), run.began):
                    telling.tell(event)
        self._finish(run, telling)

    def _finish(self, run: Run, telling: Telling) -> None:
        turn = telling.turn
        conversation = run.visitor.conversation
        if turn and (turn.held or turn.handoff):
            telling.custom("handover", handover_of(self._desk, conversation))
        if turn and turn.quote:
            self._store.set_quote(conversation, telling.more["quote"])
        elif telling.settled:
            self._store.set_quote(conversation, None)
        answer = None
        if telling.said.strip():
            answer = Shown(telling.message_id, run.id, "agent", telling.said.strip(), self._clock(), telling.more)
        was_stopped = run.stop.is_set()
        if turn:
            self._metrics.turn(turn)
        finished = RunFinishedEvent(
            thread_id=conversation,
            run_id=run.id,
            result={"messageId": answer.id if answer else None, "language": turn.language if turn else None},
            outcome=RunFinishedCancelledOutcome() if was_stopped else None,
        )
        self._end(run, "stopped" if was_stopped else "finished", finished, telling, answer)

    def _end(
        self, run: Run, state: RunState, last: BaseEvent, telling: Telling | None = None, answer: Shown | None = None
    ) -> None:
        turn = telling.turn if telling else None
        # What was typed is kept masked, here as everywhere.
        masked = turn.model_copy(update={"said": mask_private(turn.said)}) if turn else None
        self._store.end_run(
            run.visitor.conversation,
            run.id,
            state,
            (len(run.events) + 1, _json(last)),
            heard=masked.said if masked and any(step.tool == "transcribe_speech" for step in masked.steps) else None,
            language=turn.language if turn else None,
            answer=answer,
            turn=masked.model_dump_json() if masked else None,
            proved=self._agent.proved(run.visitor.conversation) if turn and run.visitor.customer is None else None,
            at=self._clock(),
        )
        run.events.append(_json(last))


def _waiting(kept: Conversation | None) -> str | None:
    """The quote that waits for an answer."""
    return kept.quote["id"] if kept and kept.quote else None


def handover_of(desk: HandoverDesk, conversation: str) -> dict[str, Any]:
    """The state of a hand-over as front ends are told it; "givenBack" where there is none any more."""
    found = next((each for each in desk.open() if each.conversation_id == conversation), None)
    return {"state": found.state if found else "givenBack", "staff": found.staff if found else None}


def _json(event: BaseEvent) -> str:
    return event.model_dump_json(by_alias=True)
