"""One call of the API as its handler sees it: the node, who calls, in which language, from where."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from aiohttp import web

from server.api.address import TRUSTED_PROXIES, client_of
from server.api.language import choose_language
from server.api.needs import NodeService
from server.record.kind import Role

NODE = web.AppKey("node", NodeService)


@dataclass(frozen=True, slots=True)
class Caller:
    """A member with an open session on one of his devices.

    `roles` are those that a record signed with this device could use now (DESIGN.md D6): else one organisation could
    tie a key of its own to another's officer, and read, or attest, in his name.
    """

    member: str
    kid: str
    roles: tuple[str, ...]
    verified: bool
    """The device is tied to the person by as many organisations as the policy wants."""

    def has(self, role: Role) -> bool:
        """May the caller use the role, for whichever organisation?"""
        return any(held.partition("@")[0] == role.value for held in self.roles)

    def organisations(self, role: Role) -> frozenset[str]:
        """For which organisations the caller may use the role."""
        return frozenset(held.partition("@")[2] for held in self.roles if held.partition("@")[0] == role.value)


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler gets besides its declared parameters."""

    request: web.Request
    node: NodeService
    visitor: Caller | None

    @property
    def caller(self) -> Caller:
        """Who calls; only where the endpoint declares a session."""
        assert self.visitor is not None, "the endpoint declares no session"
        return self.visitor

    @property
    def language(self) -> str:
        """`zh-CN` or `en`."""
        return choose_language(self.request.headers.get("Accept-Language", ""))

    @property
    def address(self) -> str:
        """A name for where the call comes from, for rate limits: a digest, so that no address is stored."""
        client = client_of(self.request, self.request.app[TRUSTED_PROXIES])
        return hashlib.sha256(client.encode()).hexdigest()[:32]
