"""The web build of the mini-app at `/`, under a policy that lets no other script in. It must not know its pages.

The app asks other member nodes at its first use and compares them (decisions 25), so `connect-src` lists
their addresses as the settings `[peers.*] url` name them, and each lets their pages read its answers (CORS).
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from server.api.errors import Handler
from server.config import Config

_HASHED = re.compile(r".*[.-][0-9A-Za-z_]{8,}\.[a-z0-9]+")
"""Names with a hash of the content in them: they never change."""
_YEAR = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
HEADERS = {
    "Server": "linli",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(self)",
}
"""On every answer."""


def origin_of(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def peer_origins(config: Config) -> tuple[str, ...]:
    """The origins of the other members' nodes, as far as the configuration names their public addresses."""
    return tuple(sorted({origin_of(peer.url) for peer in config.peers.values() if peer.url}))


def content_policy(origins: Iterable[str]) -> str:
    """The Content-Security-Policy (miniapp.md 1): own scripts only; the members' nodes may be asked."""
    connect = " ".join(("'self'", *origins))
    return (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; script-src 'self'; "
        f"connect-src {connect}; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


AddHeaders = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def secure_headers(config: Config) -> AddHeaders:
    """A signal that adds what every answer carries, and lets pages of the members' nodes read it."""
    origins = frozenset((origin_of(config.public_url()), *peer_origins(config)))
    fixed = {**HEADERS, "Content-Security-Policy": content_policy(peer_origins(config))}

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(fixed)
        origin = request.headers.get("Origin", "")
        if origin in origins:
            response.headers.setdefault("Access-Control-Allow-Origin", origin)
            response.headers["Access-Control-Expose-Headers"] = "ETag, Retry-After, X-Linli-Consistency"
            response.headers.add("Vary", "Origin")

    return add_headers


_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept-Language, Prefer, X-Linli-Size",
    "Access-Control-Max-Age": "3600",
}


@web.middleware
async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: answer a browser that asks whether a page of another member's node may call (Fetch 3.2.2)."""
    asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    return web.Response(status=204, headers=_PREFLIGHT) if asks else await handler(request)


class Site:
    """The files of one folder, listed at start: no path of a request ever reaches the file system."""

    def __init__(self, folder: str) -> None:
        root = Path(folder)
        found = [path for path in root.rglob("*") if path.is_file()] if folder else []
        self._files = {f"/{path.relative_to(root).as_posix()}": path for path in found}

    def find(self, wanted: str) -> web.FileResponse | None:
        """A file of the build; an address without a file name is a page of the app, which finds it by itself."""
        path = self._files.get(wanted)
        if path is None and "." not in wanted.rpartition("/")[2] and not wanted.startswith("/api/"):
            path = self._files.get("/index.html")
        if path is None:
            return None
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        cache = _YEAR if _HASHED.fullmatch(path.name) else _ASK_AGAIN
        return web.FileResponse(path, headers={"Content-Type": kind, "Cache-Control": cache})


SITE = web.AppKey("site", Site)


@web.middleware
async def serve_site(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: what no route answers may be a file of the web build."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        found = request.app[SITE].find(request.path) if request.method in ("GET", "HEAD") else None
        if found is None:
            raise
        return found
