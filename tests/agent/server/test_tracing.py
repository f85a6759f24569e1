"""What a collector of traces is told: what was done and how long it took, nothing of anybody."""

from collections.abc import Callable

import pytest
from counter import QUESTION, Counter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from test_runs import Broken
from visits import Visit

from agent.server import app, tracing


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    told, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(told))
    telemetry = {**tracing.telemetry(), "tracer_provider": provider}
    monkeypatch.setattr(app, "telemetry", lambda: telemetry)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("storehand"))
    return told


def test_an_answer_is_traced_below_its_request_and_names_nobody(
    spans: InMemorySpanExporter, open_counter: Callable[..., Counter]
) -> None:
    with Visit(open_counter(), "c001") as visit:
        visit.say(QUESTION, "r77")
        visit.http.get("/v1/runs/r77/events")
        visit.http.get("/v1/history")
    found = {each.name: each for each in spans.get_finished_spans()}
    assert set(found) == {"POST /v1/session", "POST /v1/runs", "GET /v1/history", "answer", "tool search_products"}
    answer, tool = found["answer"], found["tool search_products"]
    assert answer.parent is not None
    assert tool.parent is not None
    assert answer.parent.span_id == found["POST /v1/runs"].context.span_id
    assert tool.parent.span_id == answer.context.span_id
    assert answer.attributes is not None
    assert answer.attributes["storehand.tools"] == ("search_products",)
    written = "".join(each.to_json() for each in found.values())
    for secret in (visit.conversation, visit.session, "r77", "c001", "wedding", "Have a look"):
        assert secret not in written


def test_a_failed_answer_is_marked_by_the_kind_of_its_error(
    spans: InMemorySpanExporter, open_counter: Callable[..., Counter]
) -> None:
    with Visit(open_counter(Broken())) as visit:
        visit.say(QUESTION)
    (answer,) = [each for each in spans.get_finished_spans() if each.name == "answer"]
    assert not answer.status.is_ok
    assert "gears" not in answer.to_json()
