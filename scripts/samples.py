"""A small ledger with fixed keys and times, from which vectors and tests are made: the same bytes on every machine.

Formats only: outcomes are written down by hand and no rule is executed, so that a changed rule changes no vector. Every
key comes from a published seed; none of them may ever be used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from ecdsa import NIST256p, SigningKey
from ecdsa.util import sigencode_string

from server.ledger.block import (
    ACCEPTED,
    Derived,
    Header,
    block_id,
    derived_entry,
    entries_root,
    genesis_digest,
    genesis_tip,
    leaf_entry,
    next_digest,
    record_entry,
)
from server.ledger.checkpoint import Checkpoint, cosign_line, log_line, note_of
from server.ledger.genesis import Estate, Genesis, Officer, Organisation, Policy, estate_of, parse_genesis
from server.ledger.merkle import Frontier, inclusion_proof, leaf_hash, node_hash
from server.ledger.policy import policy_text
from server.ledger.receipt import BIND_KIND, proof_text
from server.record.canonical import b64u_encode, decode, encode
from server.record.envelope import Payload, sign_record
from server.record.signature import DeviceKey, DeviceSigner, NodeSigner

CREATED_MS = 1_790_000_000_000
ORIGIN = "linli.example/xiangshanyuan"
NAMES = {"owners": "业主委员会", "property": "物业公司", "street": "居民委员会"}
MEMBERS = tuple(NAMES)
QUORUM = 2
ORDER = int(NIST256p.order)


def seed(label: str) -> bytes:
    """32 bytes that everybody knows."""
    return sha256(f"linli sample {label}".encode()).digest()


class FixedDevice(DeviceSigner):
    """A device whose key follows from a label and whose signatures are deterministic (RFC 6979)."""

    def __init__(self, label: str) -> None:
        secret = int.from_bytes(seed(f"device {label}")) % (ORDER - 1) + 1
        super().__init__(ec.derive_private_key(secret, ec.SECP256R1()))
        self.label = label
        self._fixed = SigningKey.from_secret_exponent(secret, NIST256p, sha256)

    def sign(self, message: bytes) -> bytes:
        """ES256, r || s; high and low s as RFC 6979 yields them."""
        return bytes(self._fixed.sign_deterministic(message, hashfunc=sha256, sigencode=sigencode_string))


def node_signer(member: str, role: str) -> NodeSigner:
    """A member organisation's key."""
    return NodeSigner(node_seed(member, role))


def node_seed(member: str, role: str) -> bytes:
    """What a member organisation's key is made of."""
    return seed(f"{member} {role}")


def make_genesis() -> bytes:
    """genesis.json of the sample ledger."""
    members = tuple(_organisation(member) for member in MEMBERS)
    policy = Policy(approvals=2, attestations=2, final_without_ms=259_200_000, new_key_vote_delay_ms=86_400_000)
    estate = Estate(id="xiangshanyuan", name="香山苑")
    genesis = Genesis(
        created_ms=CREATED_MS, estate=estate, members=members, mode="available", origin=ORIGIN, policy=policy, rules=1
    )
    return encode(genesis)


def _organisation(member: str) -> Organisation:
    keys = {f"{role}_key": node_signer(member, role).public for role in ("attest", "consensus", "cosign", "log")}
    officer = Officer(device_key=FixedDevice(f"officer-{member}").public, member=f"officer-{member}")
    return Organisation(
        **{name: b64u_encode(public) for name, public in keys.items()},
        id=member,
        name=NAMES[member],
        officers=(officer,),
        transport_certificate="",
    )


GENESIS_BYTES = make_genesis()
GENESIS, CLUSTER_ID = parse_genesis(GENESIS_BYTES)
ESTATE = estate_of(GENESIS, CLUSTER_ID)
POLICY_TEXT = policy_text(GENESIS, QUORUM)


def payload(kind: str, author: str, body: dict[str, Any], label: str, made_ms: int = CREATED_MS) -> Payload:
    """A record's payload; `label` makes the nonce."""
    nonce = b64u_encode(seed(f"nonce {label}")[:16])
    return Payload(
        author=author, body=body, estate=ESTATE, expires_ms=made_ms + 600_000, kind=kind, made_ms=made_ms, nonce=nonce
    )


def bind_body(device: DeviceSigner, member: str, nodes: Sequence[str], time_ms: int = CREATED_MS) -> dict[str, Any]:
    """The body of a device.bind that these organisations attest (DESIGN.md 2.6)."""
    attestations = []
    for node in nodes:
        said = {"cluster_id": b64u_encode(CLUSTER_ID), "evidence": "document", "kid": device.kid, "member": member}
        message = b"linli/attest/v1\n" + encode({**said, "node": node, "time_ms": time_ms})
        signature = b64u_encode(node_signer(node, "attest").sign(message))
        attestations.append({"evidence": "document", "node": node, "signature": signature, "time_ms": time_ms})
    return {
        "attestations": attestations,
        "device_key": decode(encode(device.public)),
        "label": "phone",
        "member": member,
        "privacy_version": 1,
    }


def bind_record(device: DeviceSigner, member: str, nodes: Sequence[str] = ("owners", "street"), label: str = "") -> str:
    """A device.bind, signed by the key that it binds."""
    body = bind_body(device, member, nodes)
    return sign_record(device, payload(BIND_KIND, member, body, label or f"bind {device.kid}"))


@dataclass
class SampleLedger:
    """Mutable. Entries in blocks, as every node would have them."""

    entries: list[bytes] = field(default_factory=list)
    boundaries: list[int] = field(default_factory=list)
    """Sizes of the log after each block."""
    tip: str = genesis_tip(CLUSTER_ID)
    digest: str = genesis_digest(CLUSTER_ID)

    def add_block(self, records: Sequence[tuple[str, str]], derived: Sequence[Derived] = (), time_ms: int = 0) -> None:
        """Add a block of derived entries and records with their outcomes."""
        self.add_items([*derived, *records], time_ms)

    def add_items(self, items: Sequence[tuple[str, str] | Derived], time_ms: int = 0) -> None:
        """Add a block of items in any order, also one that no honest primary proposes."""
        height, begin = len(self.boundaries) + 1, len(self.entries)
        time_ms = time_ms or CREATED_MS + height * 1_000
        batch = [encode(item) if isinstance(item, Derived) else item[0].encode() for item in items]
        outcomes = [ACCEPTED if isinstance(item, Derived) else item[1] for item in items]
        header = self._header(batch, height, time_ms)
        digest = next_digest(self.digest, outcomes, [])
        for index, item in enumerate(items, begin):
            if isinstance(item, Derived):
                self.entries.append(derived_entry(CLUSTER_ID, height, index, time_ms, item, ACCEPTED))
            else:
                self.entries.append(record_entry(height, index, time_ms, *item))
        self.entries.append(leaf_entry(CLUSTER_ID, header, begin + len(items), digest))
        self.boundaries.append(len(self.entries))
        self.tip, self.digest = block_id(CLUSTER_ID, header), digest

    def _header(self, items: Sequence[bytes], height: int, time_ms: int) -> Header:
        return Header(
            entries_bytes=sum(map(len, items)),
            entries_root=entries_root(items),
            epoch=0,
            height=height,
            prev=self.tip,
            proposer=MEMBERS[0],
            rules=1,
            state_digest_prev=self.digest,
            time_ms=time_ms,
        )

    def seal(self, size: int) -> Derived:
        """The derived entry that says that all members have signed the log at `size`."""
        root, time_s = self.root(size), CREATED_MS // 1000
        lines = [cosign_line(node_signer(member, "cosign"), ORIGIN, member, size, root, time_s) for member in MEMBERS]
        return Derived({"root": b64u_encode(root), "signatures": lines, "size": size}, 0, str(size), "seal")

    def root(self, size: int) -> bytes:
        """Root over the first `size` entries."""
        tree = Frontier()
        for entry in self.entries[:size]:
            tree.append(leaf_hash(entry))
        return tree.root()

    def checkpoint(self, size: int = 0) -> Checkpoint:
        """The unsigned checkpoint at `size`, by default over everything."""
        size = size or len(self.entries)
        return Checkpoint(ORIGIN, size, self.root(size))

    def note(self, signers: Sequence[str] = MEMBERS, size: int = 0) -> str:
        """The checkpoint as the node of `street` would serve it, cosigned by `signers`."""
        checkpoint = self.checkpoint(size)
        return note_of(checkpoint, [sample_log_line(checkpoint), *(sample_cosign_line(checkpoint, m) for m in signers)])

    def path(self, index: int, size: int = 0) -> list[bytes]:
        """The inclusion proof of an entry."""
        hashes = [leaf_hash(entry) for entry in self.entries]

        def read(level: int, position: int) -> bytes:
            if level == 0:
                return hashes[position]
            return node_hash(read(level - 1, 2 * position), read(level - 1, 2 * position + 1))

        return inclusion_proof(index, size or len(hashes), read)

    def proof(self, index: int, device: DeviceKey | None, signers: Sequence[str] = MEMBERS) -> str:
        """A tlog-proof of an entry under the newest checkpoint."""
        return proof_text(self.entries[index], index, self.path(index), self.note(signers), device)

    def export(self) -> dict[str, bytes]:
        """The files of an export, as `verify.py log` reads them."""
        return {
            "genesis.json": GENESIS_BYTES,
            "policy.txt": POLICY_TEXT.encode(),
            "succession.json": b'{"links":[]}',
            "checkpoint": self.note().encode(),
            "entries.jsonl": b"".join(entry + b"\n" for entry in self.entries),
        }


def sample_log_line(checkpoint: Checkpoint, member: str = "street") -> str:
    """A member's line as the log."""
    return log_line(node_signer(member, "log"), checkpoint.origin, checkpoint.size, checkpoint.root)


def sample_cosign_line(checkpoint: Checkpoint, member: str, signer: NodeSigner | None = None) -> str:
    """A member's cosignature line."""
    signer = signer or node_signer(member, "cosign")
    time_s = CREATED_MS // 1000 + 60
    return cosign_line(signer, checkpoint.origin, member, checkpoint.size, checkpoint.root, time_s)


LI, WANG, ZHAO = FixedDevice("li"), FixedDevice("wang"), FixedDevice("zhao")
OLD_PHONE = FixedDevice("li old")
OFFICER = FixedDevice("officer-street")
BIND_LI, BIND_WANG, BIND_OLD, BIND_REFUSED, ACCEPTED_RECORD, SEAL = 0, 1, 2, 3, 5, 7
REFUSED_RECORD, OFFICERS_RECORD, REPEATED_RECORD, STRANGERS_RECORD = 9, 10, 11, 12
"""Indexes of the sample ledger's entries."""


def sample_ledger() -> SampleLedger:
    """Three residents' binds (one refused), a revocation, a seal, a refused record, and one of an officer."""
    ledger = SampleLedger()
    ledger.add_block(
        [
            (bind_record(LI, "m-li"), ACCEPTED),
            (bind_record(WANG, "m-wang"), ACCEPTED),
            (bind_record(OLD_PHONE, "m-li"), ACCEPTED),
            (bind_record(ZHAO, "m-zhao", ["street"]), "attestation_expired"),
        ]
    )
    revoke = sign_record(LI, payload("device.revoke", "m-li", {"revoked": OLD_PHONE.kid}, "revoke"))
    ledger.add_block([(revoke, ACCEPTED)])
    again = sign_record(LI, payload("device.revoke", "m-li", {"revoked": OLD_PHONE.kid}, "again"))
    grant = {"member": "m-wang", "organisation": "property", "role": "staff"}
    granted = sign_record(OFFICER, payload("role.grant", "officer-street", grant, "grant"))
    repeated = sign_record(WANG, payload("device.revoke", "m-wang", {"revoked": LI.kid}, f"bind {WANG.kid}"))
    stranger = sign_record(ZHAO, payload("device.revoke", "m-zhao", {"revoked": LI.kid}, "stranger"))
    ledger.add_block([], [ledger.seal(ledger.boundaries[-1])])
    ledger.add_block(
        [
            (again, "already_revoked"),
            (granted, ACCEPTED),
            (repeated, "nonce_conflict"),
            (stranger, "device_unknown"),
        ]
    )
    return ledger
