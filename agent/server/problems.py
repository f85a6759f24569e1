"""What can go wrong with a request, and how it is told: one JSON form for every error, in plain words, with a reference."""

import logging
import secrets
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

log = logging.getLogger("storehand.server")


class ErrorBody(BaseModel):
    """`code` is for programs, `message` for people, `reference` finds the line in the log."""

    code: str
    message: str
    reference: str


class ErrorAnswer(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorBody


class Problem(Exception):
    """A request that is not fulfilled, in words for whoever sent it."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its OpenAPI entry."""
    return {status: {"model": ErrorAnswer, "description": HTTPStatus(status).phrase} for status in statuses}


def add_error_answers(app: FastAPI) -> None:
    """Answer every error in the one form."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
        if error.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return _answer(request, error.status, error.code, error.message, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # Where, and what is wrong there; never what was sent.
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
        return _answer(request, 422, "invalid", wrong)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        return _answer(request, error.status_code, phrase.lower().replace(" ", "_"), str(error.detail or phrase), error.headers)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected", exc_info=error, extra={"reference": reference_of(request)})
        return _answer(request, 500, "unexpected", "Something went wrong on our side; please try again.")


def reference_of(request: Request) -> str:
    """What the log and the answer call this request."""
    if not hasattr(request.state, "reference"):
        request.state.reference = secrets.token_hex(4)
    return str(request.state.reference)


def _answer(request: Request, status: int, code: str, message: str, headers: Any = None) -> JSONResponse:
    body = ErrorAnswer(error=ErrorBody(code=code, message=message, reference=reference_of(request)))
    return JSONResponse(body.model_dump(), status, headers=dict(headers or {}))
