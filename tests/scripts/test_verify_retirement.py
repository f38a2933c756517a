"""Evidence of retired keys: server and independent verifier decide alike what it proves; the shared vectors say how."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec
import pytest

from server.consensus.certificates import Certifier
from server.consensus.config import Config, Ending
from server.consensus.evidence import unpack_evidence
from server.consensus.guilt import culprit_finder
from server.consensus.judgement import verify
from server.consensus.quorum import Quorum
from server.consensus.retirement import ending_of
from server.ledger.genesis import parse_genesis
from server.ledger.membership import Epoch, retired_with
from server.ledger.receipt import parse_proof
from server.ledger.succession import Link, follow_links
from server.node.keyring import Keys, NodeKeyring
from server.record.canonical import Malformed, b64u_decode, decode
from tests.vector_files import read_vectors, vector_cases
from verifier.encoding import Rejected, unb64u
from verifier.genesis import parse_genesis as parse_verifiers_genesis
from verifier.report import Result
from verifier.retirement import check_retired, examine
from verifier.succession import follow

VECTORS = read_vectors("retirements.json")
GENESIS, CLUSTER_ID = parse_genesis(VECTORS["genesis"].encode())
LINKS = msgspec.convert(VECTORS["links"], list[Link])
CULPRIT_OF = culprit_finder(GENESIS.origin, CLUSTER_ID)
EPOCHS = follow_links(GENESIS, CLUSTER_ID, VECTORS["estate"], LINKS, lambda n: Quorum(n).quorum, CULPRIT_OF)
ERAS = follow(parse_verifiers_genesis(VECTORS["genesis"].encode()), json.dumps({"links": VECTORS["links"]}).encode())


def ending(before: Epoch, after: Epoch, link: Link) -> Ending:
    """As a node reads it from its own log."""
    entry = str(decode(parse_proof(link.end).extra)["entry"]).encode()
    place = (before.number, after.first_height - 1, after.first_size, decode(entry)["system"]["body"]["block_id"])
    return Ending(*place, entry, retired_with(before, after, "consensus"), retired_with(before, after, "cosign"))


ENDINGS = tuple(map(ending, EPOCHS.epochs, EPOCHS.epochs[1:], LINKS))
CONFIG = Config(EPOCHS.current.ids, "owners", CLUSTER_ID, EPOCHS.current.number, endings=ENDINGS)
KEYRING = NodeKeyring(cast(Keys, None), EPOCHS, GENESIS.origin, CLUSTER_ID, "owners")


def judge(case: dict[str, Any]) -> tuple[str, int]:
    """Whose key, and the last epoch that it was good in."""
    evidence = unpack_evidence(b64u_decode(case["packed"]))
    verify(evidence, Certifier(CONFIG, KEYRING), KEYRING)
    return evidence.culprit, ending_of(CONFIG, evidence).epoch


@pytest.mark.parametrize("case", vector_cases("retirements.json", valid=True))
def test_what_a_retired_key_signed_behind_its_end_names_it(case: dict[str, Any]) -> None:
    assert judge(case) == (case["culprit"], case["epoch"])
    assert check_retired(unb64u(case["packed"], "form"), CLUSTER_ID, ERAS)[:2] == (case["culprit"], case["epoch"])
    report = examine(json.dumps({"packed": case["packed"], "offence": "retired_key"}), CLUSTER_ID, ERAS)
    assert report.result("retirement") is Result.OK


@pytest.mark.parametrize("case", vector_cases("retirements.json", valid=False))
def test_what_an_honest_member_may_have_signed_names_nobody(case: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        judge(case)
    with pytest.raises(Rejected):
        check_retired(unb64u(case["packed"], "form"), CLUSTER_ID, ERAS)
    report = examine(json.dumps({"packed": case["packed"]}), CLUSTER_ID, ERAS)
    assert report.exit_code([]) == 1
