"""Whether evidence of any kind proves what it says: the one question that everybody asks who is shown some."""

from __future__ import annotations

from server.consensus.certificates import Certifier
from server.consensus.evidence import RETIRED_KEY, Evidence, verify_contradiction
from server.consensus.keyring import Keyring
from server.consensus.retirement import verify_retired


def verify(evidence: Evidence, certifier: Certifier, keyring: Keyring) -> None:
    """Raise Malformed unless this proves that its culprit said what no honest member says."""
    if evidence.offence == RETIRED_KEY:
        verify_retired(evidence, certifier.config, keyring)
    else:
        verify_contradiction(evidence, certifier, keyring)
