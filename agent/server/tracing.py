"""OpenTelemetry spans: one for each answer, one for each tool in it. They tell what was done and how long it took, never what was said.

Without a provider they cost nothing. `pip install "storehand[otel]"` and OTEL_EXPORTER_OTLP_ENDPOINT send them, with the spans of the
requests that began them, to a collector.
"""

from collections.abc import Iterator
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from agent.events import Event, Said, Step, ToolStarted, Turn

_tracer = trace.get_tracer("storehand")
_NAMELESS = frozenset(
    {"/v1/session", "/v1/runs", "/v1/uploads", "/v1/history", "/v1/feedback", "/v1/person", "/v1/chat/completions"}
)
"""Addresses in which no customer, conversation or search can stand."""


def telemetry() -> TelemetryConfig:
    """How requests are traced: those whose address names nobody. Logs and counters have ways of their own."""
    return {
        "auto_configure": True,
        "tracing": True,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "exclude": lambda scope: scope.get("path") not in _NAMELESS,
    }


def traced(events: Iterator[Event], began: Context | None) -> Iterator[Event]:
    """The same events; their span is a child of the one in `began`."""
    span = _tracer.start_span("answer", context=began)
    inside = trace.set_span_in_context(span)
    tool: Span | None = None
    has_spoken = False
    try:
        for event in events:
            match event:
                case ToolStarted():
                    tool = _tracer.start_span(f"tool {event.tool}", context=inside)
                case Step() if tool is not None:
                    tool.set_attribute("storehand.facts", len(event.facts))
                    tool.end()
                    tool = None
                case Said() if event.text and not has_spoken:
                    has_spoken = True
                    span.add_event("first words")
                case Turn():
                    span.set_attributes(_told(event))
            yield event
    except Exception as error:
        # Its kind, not its text, in which a customer's words may stand.
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        for each in (tool, span):
            if each is not None:
                each.end()


def _told(turn: Turn) -> dict[str, Any]:
    return {
        "storehand.language": turn.language,
        "storehand.tools": [step.tool for step in turn.steps],
        "storehand.handed_over": turn.handoff is not None,
        "storehand.replaced_sentences": turn.promises.replaced,
        "storehand.model_calls": turn.model_calls,
        "gen_ai.usage.input_tokens": turn.tokens.prompt,
        "gen_ai.usage.output_tokens": turn.tokens.completion,
        "storehand.decide_s": turn.seconds.decide,
        "storehand.act_s": turn.seconds.act,
        "storehand.first_token_s": turn.seconds.first_token,
    }
