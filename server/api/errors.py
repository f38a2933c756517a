"""Everything the API answers instead of what was asked: RFC 9457 problems, and the middleware that makes them.

A handler raises `Declined` with a stable code; what a code means to people stands in `sentences`. Bugs become a 500
that says nothing but its number in the log. It must not know any single endpoint.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from aiohttp import web

from server.api.language import LANGUAGE_ZH, choose_language
from server.api.sentences import sentence_of
from server.gateway.cache import CacheUnavailable
from server.record.canonical import Malformed

log = structlog.get_logger()
PROBLEM_TYPE = "application/problem+json"
_ALWAYS = {
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
    "Server": "linli",
    "X-Content-Type-Options": "nosniff",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_CODE_BY_STATUS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "media_type_unsupported",
    417: "malformed",
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """RFC 9457, with our `code` and what belongs to it."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str = ""
    """The member at fault, as a path such as `body.heads[3].area_cm2`."""
    id: str = ""
    """The record's id, where a record was refused."""
    ordered: bool | None = None
    """False: refused early, nothing of it is on the ledger (decisions 14)."""
    receipt: str = ""
    """The receipt of the refusal, where it is on the ledger."""
    first_receipt: str = ""
    """`ballot_already_cast` only: the receipt of the ballot that counts."""
    retry_after_s: int = 0


class Declined(Exception):
    """The API does not do what was asked, and says why by a stable code.

    Args: a code of `sentences`; `about` for people where the sentence alone is not enough (never personal data);
    `more` for further members of the problem, named as in Problem.
    """

    def __init__(self, code: str, about: str = "", **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.about = about
        self.more: Mapping[str, Any] = more


def make_problem(declined: Declined, language: str) -> Problem:
    """The problem of a code in one language."""
    sentence = sentence_of(declined.code)
    detail = sentence.zh if language == LANGUAGE_ZH else sentence.en
    if declined.about:
        detail = f"{detail} ({declined.about})"
    return Problem(
        type=f"/api/docs#{declined.code}",
        title=declined.code.replace("_", " ").capitalize(),
        status=sentence.status,
        code=declined.code,
        detail=detail,
        **declined.more,
    )


def problem_response(declined: Declined, accept_language: str) -> web.Response:
    """The response of a code in the best language for the header."""
    language = choose_language(accept_language)
    problem = make_problem(declined, language)
    headers = {**_ALWAYS, "Content-Language": language}
    if problem.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="linli"'
    if problem.retry_after_s:
        headers["Retry-After"] = str(problem.retry_after_s)
    body = msgspec.json.encode(problem)
    return web.Response(body=body, status=problem.status, content_type=PROBLEM_TYPE, headers=headers)


def declined_of(malformed: Malformed) -> Declined:
    """What a record or body that is not of its form is answered with."""
    return Declined("malformed", malformed.detail, field=malformed.field)


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: every failure becomes a problem; only bugs become 500, and only the log says more of them."""
    try:
        return await handler(request)
    except Declined as declined:
        problem = declined
    except Malformed as malformed:
        problem = declined_of(malformed)
    except CacheUnavailable:
        problem = Declined("cache_down", retry_after_s=5)
    except web.HTTPException as failure:
        if failure.status < 400:
            raise
        return _answer_http(request, failure)
    except ConnectionError:
        raise
    except Exception:
        mark = secrets.token_hex(4)
        log.exception("request_failed", mark=mark, method=request.method, route=route_of(request))
        problem = Declined("internal_error", mark)
    return problem_response(problem, request.headers.get("Accept-Language", ""))


def _answer_http(request: web.Request, failure: web.HTTPException) -> web.Response:
    code = _CODE_BY_STATUS.get(failure.status, "malformed")
    response = problem_response(Declined(code), request.headers.get("Accept-Language", ""))
    if "Allow" in failure.headers:
        response.headers["Allow"] = failure.headers["Allow"]
    return response


def route_of(request: web.Request) -> str:
    """The route's pattern, never the path itself: paths carry ids and codes."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
