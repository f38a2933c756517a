"""What genesis.json says that a verifier needs: the cluster id, the members' keys, the officers, the policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from verifier.encoding import HASH_BYTES, Rejected, b64u, canonical, is_count, members, parse_canonical, sha256, unb64u
from verifier.policy import COSIGNATURE_TYPE, LOG_TYPE, Key, Policy
from verifier.signatures import is_member_signature, point_of, thumbprint

FINGERPRINT_LENGTH = 16
_MEMBER = "attest_key consensus_key cosign_key id log_key name officers transport_certificate"
_MEMBER_WITH_OPERATOR = _MEMBER + " operator_key"


@dataclass(frozen=True)
class Numbers:
    """How many organisations must attest a key that votes, and approve a role or a roll; when a further key votes."""

    attestations: int
    approvals: int
    new_key_vote_delay_ms: int
    final_without_ms: int


@dataclass(frozen=True)
class Genesis:
    """`officers`: (member, point) by the kid of the device; `attest_keys`: public keys by member organisation.

    `organisations`: for whom an officer speaks, by member id; one person speaks for one organisation, its first.
    """

    cluster_id: bytes
    estate: str
    origin: str
    policy: Policy
    attest_keys: dict[str, bytes]
    officers: dict[str, tuple[str, bytes]]
    organisations: dict[str, str]
    numbers: Numbers
    mode: str
    organisations_said: list[dict[str, Any]]
    """The members as genesis spells them, or the change by which they became members."""
    policy_said: dict[str, Any]

    def consensus_key(self, member: str) -> bytes:
        """The key with which a member votes; empty for who is none."""
        said = next((one["consensus_key"] for one in self.organisations_said if one["id"] == member), None)
        return b"" if said is None else unb64u(said, "genesis", HASH_BYTES)

    @property
    def fingerprint(self) -> str:
        """What is printed in the lobby: the first characters of the cluster id."""
        return b64u(self.cluster_id)[:FINGERPRINT_LENGTH]


def parse_genesis(data: bytes) -> Genesis:
    """Read genesis.json; Rejected with fault `genesis`."""
    names = "created_ms estate members mode origin policy rules"
    value = members(parse_canonical(data, "genesis"), names, "genesis")
    estate = members(value["estate"], "id name", "genesis")
    if not isinstance(value["members"], list) or not value["members"] or not isinstance(value["origin"], str):
        raise Rejected("genesis", "no members or no origin")
    organisations = _organisations(value["members"])
    cluster_id = sha256(data)
    named = f"{estate['id']}.{b64u(cluster_id)[:22]}"
    return _genesis(cluster_id, named, value["origin"], value["mode"], organisations, value["policy"])


def genesis_with(genesis: Genesis, organisations: list[Any], policy: Any) -> Genesis:
    """The same log with the members and the policy of another epoch; Rejected with fault `genesis`."""
    said = _organisations(organisations)
    after = _genesis(genesis.cluster_id, genesis.estate, genesis.origin, genesis.mode, said, policy)
    # Who was a member attested keys that are in use still; ids and these keys are never used again.
    return replace(
        after,
        attest_keys={**genesis.attest_keys, **after.attest_keys},
        officers={**genesis.officers, **after.officers},
        organisations={**genesis.organisations, **after.organisations},
    )


def _genesis(
    cluster_id: bytes, estate: str, origin: str, mode: str, organisations: list[dict[str, Any]], policy: Any
) -> Genesis:
    ids = [organisation["id"] for organisation in organisations]
    if not all(isinstance(node, str) for node in ids) or ids != sorted(set(ids)):
        raise Rejected("genesis", "members must stand in the order of their ids")
    if not all(isinstance(organisation["officers"], list) for organisation in organisations):
        raise Rejected("genesis", "officers must be a list")
    return Genesis(
        cluster_id,
        estate,
        origin,
        _derive_policy(origin, mode, organisations),
        {member["id"]: unb64u(member["attest_key"], "genesis", HASH_BYTES) for member in organisations},
        dict(_officer(officer) for member in organisations for officer in member["officers"]),
        {officer["member"]: member["id"] for member in reversed(organisations) for officer in member["officers"]},
        _numbers(policy),
        mode,
        organisations,
        policy,
    )


def _organisations(values: list[Any]) -> list[dict[str, Any]]:
    """The members; all of them have an operator key or none has (DESIGN.md 2.3)."""
    has_operators = isinstance(values[0], dict) and "operator_key" in values[0]
    organisations = [members(value, _MEMBER_WITH_OPERATOR if has_operators else _MEMBER, "genesis") for value in values]
    for organisation in organisations if has_operators else ():
        unb64u(organisation["operator_key"], "genesis", HASH_BYTES)
    return organisations


def _numbers(value: Any) -> Numbers:
    said = members(value, "approvals attestations final_without_ms new_key_vote_delay_ms", "genesis")
    if not all(is_count(number) for number in said.values()):
        raise Rejected("genesis", "the policy must be of numbers")
    return Numbers(said["attestations"], said["approvals"], said["new_key_vote_delay_ms"], said["final_without_ms"])


def _officer(value: Any) -> tuple[str, tuple[str, bytes]]:
    officer = members(value, "device_key member", "genesis")
    if not isinstance(officer["member"], str):
        raise Rejected("genesis", "an officer without a member id")
    return thumbprint(officer["device_key"]), (officer["member"], point_of(officer["device_key"], "genesis"))


def _derive_policy(origin: str, mode: object, organisations: list[dict[str, Any]]) -> Policy:
    """The policy that follows from the members and the mode (PBFT: quorum (n+f)//2+1 with f=(n-1)//3)."""
    ids = [organisation["id"] for organisation in organisations]
    n = len(ids)
    quorum = n if mode == "strict" else (n + (n - 1) // 3) // 2 + 1
    logs = [_key(origin, LOG_TYPE, member["log_key"]) for member in organisations]
    witnesses = {m["id"]: _key(f"{origin}/{m['id']}", COSIGNATURE_TYPE, m["cosign_key"]) for m in organisations}
    return Policy(logs, witnesses, {"committed": (quorum, ids), "sealed": (n, ids)}, "committed")


def _key(name: str, kind: int, public: object) -> Key:
    return Key(name, bytes([kind]) + unb64u(public, "genesis", HASH_BYTES))


def check_policy(policy: Policy, genesis: Genesis) -> None:
    """Rejected with fault `genesis` unless the policy is the one that follows from genesis."""
    if policy != genesis.policy:
        raise Rejected("genesis", "the policy file is not the one that follows from genesis")


def check_attestations(genesis: Genesis, author: str, kid: str, body: dict[str, Any]) -> int:
    """How many organisations attest this bind; Rejected with fault `attestation` when a signature does not hold."""
    attestations = body.get("attestations")
    if not isinstance(attestations, list) or not attestations:
        raise Rejected("attestation", "the bind carries no attestation")
    for value in attestations:
        attestation = members(value, "evidence node signature time_ms", "attestation")
        said = {name: attestation[name] for name in ("evidence", "node", "time_ms")}
        said |= {"cluster_id": b64u(genesis.cluster_id), "kid": kid, "member": author}
        public = genesis.attest_keys.get(str(attestation["node"]))
        signature = unb64u(attestation["signature"], "attestation")
        if public is None or not is_member_signature(public, b"linli/attest/v1\n" + canonical(said), signature):
            raise Rejected("attestation", f"the attestation of {attestation['node']} does not hold")
    return len({str(attestation["node"]) for attestation in attestations})
