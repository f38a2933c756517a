"""The policy under which the web build runs."""

from __future__ import annotations

from server.api.pages import content_policy


def test_policy_lets_the_app_ask_the_other_members_nodes_only() -> None:
    policy = content_policy(("https://a.example", "https://b.example:8443"))
    assert "connect-src 'self' https://a.example https://b.example:8443;" in policy
    assert "script-src 'self';" in policy
