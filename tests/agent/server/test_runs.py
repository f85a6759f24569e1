"""Conversations over HTTP: answered once, in order, readable again from any event."""

import time
from pathlib import Path

import httpx
import pytest
from counter import QUESTION, Counter, Reciter
from visits import Visit, custom, text_of, types


def test_a_run_tells_its_events_in_the_protocols_order(visit: Visit) -> None:
    events = visit.say(QUESTION, "r1")
    assert types(events)[0] == "RUN_STARTED"
    assert types(events)[-1] == "RUN_FINISHED"
    told = [each for each in types(events) if each.startswith(("TOOL", "TEXT"))]
    assert told[:4] == ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT"]
    assert told[4] == "TEXT_MESSAGE_START"
    assert told[-1] == "TEXT_MESSAGE_END"
    assert set(told[5:-1]) == {"TEXT_MESSAGE_CONTENT"}
    assert "Have a look at it." in text_of(events)
    (products,) = custom(events, "products")
    assert products[0]["id"] == "p001"
    assert products[0]["price"]["currency"] == "USD"
    assert products[0]["inStock"] is True
    assert events[-1]["result"]["language"] == "en"
    assert {"id": "p001", "kind": "product", "title": products[0]["title"]} in custom(events, "sources")[0]
