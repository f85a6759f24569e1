"""Requests made up from the OpenAPI document, valid and not, are answered as it says, and none of them breaks the server."""

import os
from typing import Any

import pytest
from counter import Open
from hypothesis import HealthCheck, given, settings
from test_staff import signed_in
from visits import Visit

STAY_OPEN = {"/v1/updates", "/v1/staff/events"}
EXAMPLES = int(os.environ.get("STOREHAND_EXAMPLES", "5"))
"""For each operation."""


def test_requests_made_up_from_the_openapi_document_are_answered_as_it_says(open_counter: Open) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    counter = open_counter(messages_a_minute=10**6, requests_a_minute=10**6, sign_ins_a_minute=10**6, sessions_a_minute=10**6)
    held = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
        checks.response_headers_conformance,
    ]
    document = schemathesis.openapi.from_url(f"{counter.url}/openapi.json")
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 30

    def try_out(operation: Any, token: str, conversation: str) -> None:
        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def is_answered(case: Any) -> None:
            if operation.path == "/v1/runs" and isinstance(case.body, dict) and "threadId" in case.body:
                # Of another conversation it would be refused before anything else is looked at.
                case.body["threadId"] = conversation
            answer = case.call(headers={"Authorization": token}, timeout=20)
            case.validate_response(answer, checks=held)

        is_answered()

    with Visit(counter, "c001") as visit, signed_in(counter, "Mia") as staff:
        for operation in operations:
            if operation.path not in STAY_OPEN:
                who = staff if operation.path.startswith("/v1/staff/") else visit.http
                try_out(operation, who.headers["Authorization"], visit.conversation)
        assert visit.http.get("/readyz").status_code == 200
