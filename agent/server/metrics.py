"""Counters for Prometheus: how many, how long; never what was said or by whom."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from agent.events import Turn

SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "storehand_requests", "Answered requests.", ["method", "route", "status"], registry=self._registry
        )
        self.running = Gauge("storehand_runs", "Messages being answered.", registry=self._registry)
        self._turns = Counter("storehand_turns", "Answered messages.", ["language", "tool"], registry=self._registry)
        self._first = Histogram(
            "storehand_first_words_seconds", "Message to first words.", buckets=SECONDS, registry=self._registry
        )
        self._whole = Histogram("storehand_turn_seconds", "Message to end.", buckets=SECONDS, registry=self._registry)
        self._replaced = Counter("storehand_replaced_sentences", "Sentences replaced by facts.", registry=self._registry)

    def turn(self, turn: Turn) -> None:
        """Count one turn."""
        self._turns.labels(turn.language, turn.steps[0].tool if turn.steps else "reply").inc()
        self._whole.observe(turn.seconds.total)
        if turn.seconds.first_token:
            self._first.observe(turn.seconds.first_token)
        self._replaced.inc(turn.promises.replaced)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
