"""Every error as an RFC 9457 problem, in one total table.

A problem carries a stable `code`, whether a retry may help, the ISO 20022 reason and the place in
the request where there is one, and the trace id under which this bridge logged the request. What
went wrong inside the bridge, or at its node, stays in the log: from status 500 on the detail is a
fixed sentence.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bridge import errors
from bridge.errors import (
    BridgeError,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    InvariantBroken,
    Rejected,
    RequestInvalid,
    Unavailable,
)
from bridge.telemetry import get_logger

PROBLEM_CONTENT_TYPE: Final = "application/problem+json"

TRACE_ID_HEADER: Final = "X-Request-ID"

IDEMPOTENCY_KEY_HEADER: Final = "Idempotency-Key"

IDEMPOTENCY_KEY_CHARACTERS_MAX: Final = 64
"""Longest key under which a request may be repeated."""

RETRY_AFTER_SECONDS: Final = 1
"""What a client is told to wait when something is unavailable."""

STATUS_BY_ERROR: Final[Mapping[type[BridgeError], HTTPStatus]] = {
    Rejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    InvariantBroken: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.CallReverted: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.CursorInvalid: HTTPStatus.BAD_REQUEST,
    errors.OwnProposal: HTTPStatus.FORBIDDEN,
    errors.ProposalNotOwn: HTTPStatus.FORBIDDEN,
    errors.ProposalUnknown: HTTPStatus.NOT_FOUND,
    errors.BreakUnknown: HTTPStatus.NOT_FOUND,
    errors.StatementUnknown: HTTPStatus.NOT_FOUND,
    errors.TransferUnknown: HTTPStatus.NOT_FOUND,
    errors.EnvelopeInvalid: HTTPStatus.BAD_REQUEST,
    errors.EnvelopeSignatureInvalid: HTTPStatus.UNAUTHORIZED,
    errors.ContentTypeUnsupported: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.IdempotencyKeyInvalid: HTTPStatus.BAD_REQUEST,
    errors.IdempotencyKeyMissing: HTTPStatus.BAD_REQUEST,
    errors.MessageShredded: HTTPStatus.GONE,
    errors.MessageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.ResourceUnknown: HTTPStatus.NOT_FOUND,
    errors.SenderNotCertified: HTTPStatus.FORBIDDEN,
    errors.SettingsInvalid: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.TokenInvalid: HTTPStatus.UNAUTHORIZED,
    errors.TransactionRefused: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Status by error; an error that does not stand here has the status of its nearest ancestor."""

_CODE_BY_STATUS: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "body_malformed",
    HTTPStatus.NOT_FOUND: "resource_unknown",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
}
"""Codes of what the web framework itself refuses."""

_RETRY_LATER: Final = "this cannot be answered now; the same request may be sent again"
_OUR_FAULT: Final = "this bridge found a fault of its own; its operator has been told"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a caller is told of an error."""

    status: HTTPStatus
    code: str
    detail: str
    retryable: bool = False
    reason: str | None = None
    path: str | None = None

    def document(self) -> dict[str, Any]:  # JSON
        """The problem as RFC 9457 JSON, without a trace id."""
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "code": self.code,
            "detail": self.detail,
            "retryable": self.retryable,
            "reason": self.reason,
            "path": self.path,
        }


class RepeatableResponse(JSONResponse):
    """JSON with its members in one order: equal content is equal bytes, now and when replayed."""

    def render(self, content: Any) -> bytes:  # JSON
        """The content as bytes."""
        return json.dumps(content, sort_keys=True, ensure_ascii=False).encode()


def status_of(error: type[BridgeError]) -> HTTPStatus:
    """The HTTP status of a class of error; total over the tree."""
    return next(STATUS_BY_ERROR[kind] for kind in error.__mro__ if kind in STATUS_BY_ERROR)


def problem_of(error: BridgeError) -> Problem:
    """The problem that tells a caller of `error`."""
    status = status_of(type(error))
    match error:
        case Rejected() if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return Problem(status, error.code, str(error), reason=error.reason, path=error.path)
        case Unavailable():
            return Problem(status, error.code, _RETRY_LATER, retryable=True)
        case _:
            return Problem(status, InvariantBroken.code, _OUR_FAULT)


def trace_id_of(request: Request) -> str:
    """The id under which this request is logged, here and at the caller."""
    trace_id: str = request.state.trace_id
    return trace_id


def answer_problem(
    request: Request, problem: Problem, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response for a problem met in this request."""
    trace_id = trace_id_of(request)
    return JSONResponse(
        {**problem.document(), "trace_id": trace_id},
        status_code=problem.status.value,
        headers={TRACE_ID_HEADER: trace_id, **_headers_of(problem.status), **(headers or {})},
        media_type=PROBLEM_CONTENT_TYPE,
    )


def answer_refusal(refusal: Mapping[str, object]) -> JSONResponse:
    """The response for a refusal that is remembered: the same bytes each time it is asked for.

    It carries no trace id, which would differ; the header `X-Request-ID` has it.
    """
    status = status_of(Rejected)
    blank = Problem(status, code="", detail="").document()
    return RepeatableResponse(
        {**blank, **refusal}, status_code=status.value, media_type=PROBLEM_CONTENT_TYPE
    )


def install_handlers(api: FastAPI) -> None:
    """Have every error that leaves a route, or meets none, answered as a problem."""
    api.add_exception_handler(BridgeError, _answer_bridge_error)
    api.add_exception_handler(RequestValidationError, _answer_invalid_request)
    api.add_exception_handler(HTTPException, _answer_http_exception)
    api.add_exception_handler(Exception, _answer_fault)


async def _answer_bridge_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, BridgeError):
        return await _answer_fault(request, error)
    problem = problem_of(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        get_logger().error(
            "request_failed", trace_id=trace_id_of(request), error=repr(error), detail=str(error)
        )
    return answer_problem(request, problem)


async def _answer_invalid_request(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        return await _answer_fault(request, error)
    first = error.errors()[0]
    place = tuple(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        malformed = Problem(HTTPStatus.BAD_REQUEST, "body_malformed", "the body is not JSON")
        return answer_problem(request, malformed)
    if place == ("header", IDEMPOTENCY_KEY_HEADER):
        missing = first["type"] == "missing"
        limit = IDEMPOTENCY_KEY_CHARACTERS_MAX
        refused = IdempotencyKeyMissing() if missing else IdempotencyKeyInvalid(limit)
        return answer_problem(request, problem_of(refused))
    invalid = RequestInvalid(str(first["msg"]))
    return answer_problem(request, problem_of(invalid.at(".".join(place[1:]) or place[0])))


async def _answer_http_exception(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return await _answer_fault(request, error)
    status = HTTPStatus(error.status_code)
    code = _CODE_BY_STATUS.get(status, status.name.lower())
    return answer_problem(request, Problem(status, code, status.description), error.headers)


async def _answer_fault(request: Request, error: Exception) -> JSONResponse:
    get_logger().error("request_failed", trace_id=trace_id_of(request), exc_info=error)
    fault = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, InvariantBroken.code, _OUR_FAULT)
    return answer_problem(request, fault)


def _headers_of(status: HTTPStatus) -> dict[str, str]:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return {"WWW-Authenticate": "Bearer"}
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case _:
            return {}
