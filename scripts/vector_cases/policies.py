"""Genesis, and C2SP policies, which follow from it."""

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from samples import CLUSTER_ID, ESTATE, GENESIS_BYTES, MEMBERS, ORIGIN, POLICY_TEXT, node_signer
from server.ledger.checkpoint import TYPE_COSIGNATURE, TYPE_LOG, VerifierKey, cosigner_name
from server.ledger.policy import parse_policy
from server.record.canonical import b64u_encode, encode
from server.record.envelope import estate_name
from vector_cases.case import Case, bad, changed, good, respelled, vector_file

ONE_WITNESS = VerifierKey(cosigner_name(ORIGIN, "property"), TYPE_COSIGNATURE, node_signer("property", "cosign").public)
OTHER_LOG = VerifierKey("linli.example/other", TYPE_LOG, node_signer("street", "log of another estate").public)


def files() -> dict[str, dict[str, Any]]:
    """This family's files by name."""
    return {
        "genesis.json": vector_file("What follows from genesis.json (DESIGN.md 2.3).", _genesis()),
        "policies.json": vector_file("Policy files (c2sp.org/tlog-policy).", [*_good_policies(), *_bad_policies()]),
    }


def _genesis() -> list[Case]:
    text, a_key = GENESIS_BYTES.decode(), b64u_encode(node_signer("street", "cosign").public)
    with_operators = _with_operators(text, MEMBERS)
    cluster_id = sha256(with_operators.encode()).digest()
    return [
        good(
            "three organisations",
            text=text,
            cluster_id=b64u_encode(CLUSTER_ID),
            estate=ESTATE,
            policy=POLICY_TEXT,
        ),
        good(
            "operator keys, which change no policy",
            text=with_operators,
            cluster_id=b64u_encode(cluster_id),
            estate=estate_name(ESTATE.partition(".")[0], cluster_id),
            policy=POLICY_TEXT,
        ),
        bad("one member without an operator key", "genesis", text=_with_operators(text, MEMBERS[:-1])),
        bad("an empty operator key", "genesis", text=re.sub(r'("operator_key":")[^"]*', r"\1", with_operators)),
        bad("another spelling", "genesis", text=text.replace(":", ": ", 1)),
        bad("another member", "genesis", text='{"a":1,' + text[1:]),
        bad("trailing bits of a key", "genesis", text=changed(text, a_key, respelled(a_key))),
        bad("a key of 31 bytes", "genesis", text=changed(text, a_key, b64u_encode(bytes(31)))),
        bad("no members", "genesis", text=re.sub(r'"members":\[.*\],"mode"', '"members":[],"mode"', text)),
    ]


def _with_operators(text: str, nodes: Sequence[str]) -> str:
    """genesis.json in which these members have an operator key."""
    value = json.loads(text)
    for member in value["members"]:
        if member["id"] in nodes:
            member["operator_key"] = b64u_encode(node_signer(member["id"], "operator").public)
    return encode(value).decode()


def _good_policies() -> list[Case]:
    nested = POLICY_TEXT.replace("quorum committed", "group both any committed sealed\nquorum both")
    spaced = "# ours\n\n \t" + POLICY_TEXT.replace(" ", " \t ").replace("\n", " \n")
    single = POLICY_TEXT.replace("quorum committed", "quorum property")
    with_urls = re.sub(r"^((?:log|witness) .*)$", r"\1 https://node.example/", POLICY_TEXT, flags=re.MULTILINE)
    cases = []
    for name, text in (
        ("three organisations", POLICY_TEXT),
        ("comments and other spaces", spaced),
        ("addresses", with_urls),
        ("a group of groups", nested),
        ("one witness decides", single),
        ("no newline at the end", POLICY_TEXT.rstrip("\n")),
    ):
        policy = parse_policy(text)
        grades = [
            {"signers": list(signers), "grade": grade.value if (grade := policy.grade(signers)) else ""}
            for signers in ((), MEMBERS[:1], MEMBERS[1:2], MEMBERS[:2], MEMBERS)
        ]
        cases.append(good(name, policy=text, origin=policy.origin, witnesses=list(policy.witnesses), grades=grades))
    return cases


def _bad_policies() -> list[Case]:
    log, witness = POLICY_TEXT.split("\n")[0], f"witness property {ONE_WITNESS.text()}"
    ids = " ".join(MEMBERS)
    changes: dict[str, tuple[str, str]] = {
        "no quorum": ("quorum committed\n", ""),
        "two quorums": ("quorum committed\n", "quorum committed\nquorum committed\n"),
        "an undefined quorum": ("quorum committed", "quorum majority"),
        "a quorum of nobody": ("quorum committed", "quorum none"),
        "a threshold above the members": ("committed 2 ", "committed 4 "),
        "a threshold of zero": ("committed 2 ", "committed 0 "),
        "a threshold with a leading zero": ("committed 2 ", "committed 02 "),
        "a threshold in words": ("committed 2 ", "committed two "),
        "an undefined member": (f"committed 2 {ids}", f"committed 2 {ids} nobody"),
        "a member twice": (f"committed 2 {ids}", f"committed 2 {ids} street"),
        "a group without members": (f"committed 2 {ids}", "committed 1"),
        "a group used before it is defined": ("group committed 2", "group committed 2 sealed"),
        "a name twice": ("group sealed", "group committed"),
        "the name none": ("group sealed", "group none"),
        "a log twice": (log, f"{log}\n{log}"),
        "a witness twice": (witness, f"{witness}\n{witness.replace('witness property', 'witness again')}"),
        "an unknown line": ("quorum committed", "threshold 2\nquorum committed"),
        "a key of another type": (witness, f"witness property {log.removeprefix('log ')}"),
        "a key id that does not fit": (ONE_WITNESS.id.hex(), "00000000"),
        "another name of the key": (f"{ORIGIN}/property+", f"{ORIGIN}/someone+"),
        "another name of the log's key": (log, log.replace(ORIGIN, ORIGIN + "/x")),
        "a log of another origin": (log, f"log {OTHER_LOG.text()}"),
        "a control character": ("quorum committed", "quorum\x0bcommitted"),
        "a line end of another system": ("quorum committed\n", "quorum committed\r\n"),
    }
    cases = [bad(name, "policy", policy=changed(POLICY_TEXT, *change)) for name, change in changes.items()]
    without_logs = re.sub(r"^log .*\n", "", POLICY_TEXT, flags=re.MULTILINE)
    return [*cases, bad("nothing", "policy", policy=""), bad("no log", "policy", policy=without_logs)]
