"""Whether evidence of any kind proves what it says: the one question that everybody asks who is shown some."""

from __future__ import annotations

from server.consensus.certificates import Certifier
from server.consensus.evidence import RETIRED_KEY, Evidence, unpack_evidence, verify_contradiction
from server.consensus.keyring import Keyring
from server.consensus.retirement import verify_retired
from server.ledger.receipt import Conviction


def verify(evidence: Evidence, certifier: Certifier, keyring: Keyring) -> None:
    """Raise Malformed unless this proves that its culprit said what no honest member says."""
    if evidence.offence == RETIRED_KEY:
        verify_retired(evidence, certifier.config, keyring)
    else:
        verify_contradiction(evidence, certifier, keyring)


def convict(data: bytes, certifier: Certifier, keyring: Keyring) -> Conviction:
    """Whom these bytes of evidence bar, for whoever checks a receipt. Raises Malformed when it is nobody."""
    evidence = unpack_evidence(data)
    verify_contradiction(evidence, certifier, keyring)
    return Conviction(evidence.culprit, evidence.offence, evidence.digests)
