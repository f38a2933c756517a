"""Receipts under checkpoints that a barred member has not signed: the evidence against it stands in them."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from samples import (
    ACCEPTED_RECORD,
    BIND_LI,
    CLUSTER_ID,
    ESTATE,
    GENESIS,
    LI,
    MEMBERS,
    ORIGIN,
    POLICY_TEXT,
    SEAL,
    SampleLedger,
    node_signer,
    sample_cosign_line,
    sample_ledger,
)
from server.consensus.certificates import Certifier
from server.consensus.config import Config
from server.consensus.evidence import Branch, Evidence, Statement, accuse, accuse_of_split
from server.consensus.judgement import convict
from server.consensus.messages import TYPES, Commit, Cosign, NewView, Prepare, Signed, SignedBody, ViewChange
from server.domain.evidence import evidence_item
from server.ledger.block import Derived
from server.ledger.checkpoint import Checkpoint, b64_decode, b64_encode
from server.ledger.membership import Membership, founding_epoch
from server.ledger.merkle import leaf_hash, root_of
from server.ledger.policy import parse_policy
from server.ledger.receipt import Conviction, barring_text, receipt_text, verify_receipt
from server.node.keyring import Keys, NodeKeyring
from server.record.canonical import b64u_encode, encode
from vector_cases.case import Case, bad, changed, good

CULPRIT, OTHERS = "property", ("owners", "street")
X, Y = (b64u_encode(sha256(name).digest()) for name in (b"block x", b"block y"))


def _keyring() -> NodeKeyring:
    signers = {role: node_signer("owners", role) for role in ("attest", "consensus", "cosign", "log")}
    keys = Keys(**signers, token=b"", vault=b"", roll=b"", transport_certificate="", transport_key="")
    return NodeKeyring(keys, Membership((founding_epoch(GENESIS),)), GENESIS.origin, CLUSTER_ID, "owners")


def sample_convict(data: bytes) -> Conviction:
    """What evidence of the sample ledger's members proves. Raises Malformed."""
    keyring = _keyring()
    return convict(data, Certifier(Config(MEMBERS, "owners", CLUSTER_ID), keyring), keyring)


def cases() -> list[Case]:
    """Receipts that do without a member, and those that only say so."""
    return [*_good_barrings(), *_bad_barrings()]


def _statement(body: SignedBody, member: str = CULPRIT) -> Signed[Any]:
    raw, cluster = encode(body), b64u_encode(CLUSTER_ID).encode()
    message = b"linli/pbft/v1\n" + TYPES[type(body)].encode() + b"\n" + cluster + b"\n" + raw
    return Signed(body, raw, node_signer(member, "consensus").sign(message))


def _found(evidence: Evidence | None) -> Evidence:
    assert evidence is not None, "the statements contradict each other"
    return evidence


def double_vote(member: str = CULPRIT) -> Evidence:
    """Two votes of a member at one place."""
    bodies = [Prepare(block_id=block, epoch=0, height=6, sender=member, view=1) for block in (X, Y)]
    return _found(accuse(*(_statement(body, member) for body in bodies)))


def _hidden_vote() -> Evidence:
    vote = Commit(block_id=X, epoch=0, height=6, new_view=Y, sender=CULPRIT, view=1)
    told = {"last_block": Y, "last_height": 5, "prepared_block": "", "prepared_view": 0}
    return _found(accuse(_statement(vote), _statement(ViewChange(epoch=0, sender=CULPRIT, view=2, **told))))  # type: ignore[arg-type]


def _double_new_view() -> Evidence:
    said = [NewView(base_height=5, block_id=b, epoch=0, sender=CULPRIT, view=2, view_changes=(X, Y)) for b in ("", X)]
    return _found(accuse(*map(_statement, said)))


def _line(entries: Sequence[bytes], member: str) -> Cosign:
    checkpoint = Checkpoint(ORIGIN, len(entries), root_of(entries))
    line = sample_cosign_line(checkpoint, member)
    return Cosign(line=line, member=member, root=b64u_encode(checkpoint.root), size=checkpoint.size)


def split(size: int = 2, member: str = CULPRIT) -> Evidence:
    """Two logs that a member signed: of two entries, and of `size` with another first entry."""
    ours, theirs = [b"entry 0", b"entry 1"], [b"other 0", *([b"entry 1"] * (size - 1))]
    branches = [_branch(entries) for entries in (ours, theirs)] if size != len(ours) else []
    return _found(accuse_of_split(_line(ours, member), _line(theirs, member), branches))


def _branch(entries: Sequence[bytes]) -> Branch:
    """The first leaf of a log of two or three entries, whose path is the other leaves."""
    leaf, *path = [b64u_encode(leaf_hash(entry)) for entry in entries]
    return Branch(index=0, leaf=leaf, proof=tuple(path))


def item_of(evidence: Evidence) -> Derived:
    """The entry that names evidence."""
    return evidence_item(evidence.id, evidence.culprit, evidence.offence, evidence.digests)


class _Log:
    """The sample ledger with one more block, of these derived entries."""

    def __init__(self, *items: Derived) -> None:
        self.ledger: SampleLedger = sample_ledger()
        self._first = len(self.ledger.entries)
        self.ledger.add_block([], items)

    def record(self, signers: Sequence[str] = OTHERS) -> str:
        """The proof of a record."""
        return self.ledger.proof(ACCEPTED_RECORD, LI.public, signers)

    def bind(self, signers: Sequence[str] = OTHERS) -> str:
        """The proof of its bind."""
        return self.ledger.proof(BIND_LI, LI.public, signers)

    def barring(self, evidence: bytes, place: int = 0, signers: Sequence[str] = OTHERS) -> str:
        """The proof of the block's entry at `place`, with evidence."""
        return self.at(self._first + place, evidence, signers)

    def at(self, index: int, evidence: bytes, signers: Sequence[str] = OTHERS) -> str:
        """The proof of any entry, with evidence."""
        ledger = self.ledger
        return barring_text(ledger.entries[index], index, ledger.path(index), ledger.note(signers), evidence)

    def receipt(self, *evidence: Evidence, signers: Sequence[str] = OTHERS) -> str:
        """The receipt of a record with its bind, and these barrings in the order of the block's entries."""
        barrings = [self.barring(one.packed, place, signers) for place, one in enumerate(evidence)]
        return receipt_text(self.record(signers), self.bind(signers), barrings)


def _good_barrings() -> list[Case]:
    vote, alone = double_vote(), split()
    kinds = {
        "sealed without a member that voted twice": vote,
        "sealed without a member that hid its vote": _hidden_vote(),
        "sealed without a member that began one view twice": _double_new_view(),
        "sealed without a member that signed two roots of one size": alone,
        "sealed without a member that signed two entries at one index": split(3),
    }
    made = [_good(name, _Log(item_of(one)).receipt(one)) for name, one in kinds.items()]
    log = _Log(item_of(alone))
    votes = _Log(item_of(vote))
    no_bind = receipt_text(log.record(), "", [log.barring(alone.packed)])
    signed_too = log.receipt(alone, signers=MEMBERS)
    return [
        *made,
        _good("the policy alone tells two histories", log.receipt(alone), genesis=False),
        _good("a barred member's own signature is not counted", signed_too),
        _good("barred, with no bind", no_bind),
        good(
            "votes are not verified without genesis",
            **_said(votes.receipt(vote)) | {"grade": "committed", "barred": [], "unchecked": [CULPRIT]},
            genesis=False,
        ),
    ]


def _good(name: str, text: str, *, genesis: bool = True) -> Case:
    return good(name, **_said(text), genesis=genesis)


def _said(text: str) -> dict[str, Any]:
    verified = verify_receipt(text, parse_policy(POLICY_TEXT), ESTATE, convict=sample_convict)
    envelope, entry = verified.proven.envelope, verified.proven.entry
    assert envelope is not None
    said: dict[str, Any] = {"policy": "now", "receipt": text, "grade": verified.grade.value}
    said |= {"barred": list(verified.barred), "owner_checked": verified.owner_checked, "index": entry.index}
    said |= {"outcome": entry.outcome, "id": envelope.id, "kid": envelope.kid, "author": envelope.payload.author}
    return said


def _bad_barrings() -> list[Case]:
    vote, alone = double_vote(), split()
    log, both = _Log(item_of(vote)), _Log(item_of(vote), item_of(double_vote("street")))
    unsigned = replace(vote, first=replace(vote.first, signature=bytes(64)))
    same = replace(vote, second=vote.first)
    framed = replace(vote, culprit="street")
    stranger = replace(alone, culprit="stranger")
    other_words = evidence_item(vote.id, CULPRIT, "split_checkpoint", vote.digests)
    wrong = {
        "evidence that no member signed": _Log(item_of(unsigned)).receipt(unsigned),
        "evidence of the same statement twice": _Log(item_of(same)).receipt(same),
        "evidence with its statements exchanged": _exchanged(vote),
        "evidence against somebody else than who signed it": _Log(item_of(framed)).receipt(framed),
        "evidence against a stranger": _Log(item_of(stranger)).receipt(stranger),
        "evidence of votes that is called one of checkpoints": _renamed(vote),
        "a line that another member signed": _lines_of_another(alone),
        "an entry of other evidence": log.receipt(alone),
        "an entry that names another culprit": _Log(
            evidence_item(vote.id, "street", vote.offence, vote.digests)
        ).receipt(vote),
        "an entry that names another offence": _Log(other_words).receipt(vote),
        "an entry that names other statements": _Log(evidence_item(vote.id, CULPRIT, vote.offence, (X, Y))).receipt(
            vote
        ),
        "the proof of another entry": receipt_text(log.record(), log.bind(), [log.at(SEAL, vote.packed)]),
        "the proof of a block's leaf": receipt_text(
            log.record(), log.bind(), [log.at(len(log.ledger.entries) - 1, vote.packed)]
        ),
        "a quorum only with the barred member": log.receipt(vote, signers=("owners", CULPRIT)),
        "evidence under another checkpoint": receipt_text(
            sample_ledger().proof(ACCEPTED_RECORD, LI.public, OTHERS), log.bind(), [log.barring(vote.packed)]
        ),
        "evidence against so many that no quorum is left": both.receipt(
            vote, double_vote("street"), signers=("owners", "street")
        ),
        "a member barred twice": receipt_text(log.record(), log.bind(), [log.barring(vote.packed)] * 2),
        "evidence first": receipt_text(log.barring(vote.packed), log.record()),
        "evidence cut short": _cut(vote),
    }
    other = {
        "evidence beside a record": (
            "device_key",
            receipt_text(log.record(), log.bind(), [log.at(ACCEPTED_RECORD, vote.packed)]),
        ),
        "evidence that is not base64url": ("extra", _respelled(log, vote)),
        "two binds": ("form", receipt_text(log.record(), log.bind(), [log.bind()])),
        "a bind after evidence": ("form", receipt_text(log.record(), "", [log.barring(vote.packed), log.bind()])),
        "evidence that is not committed": (
            "not_committed",
            receipt_text(log.record(), log.bind(), [log.barring(vote.packed, signers=("owners",))]),
        ),
    }
    made = [bad(name, "barring", policy="now", receipt=text, genesis=True) for name, text in wrong.items()]
    return made + [bad(name, why, policy="now", receipt=text, genesis=True) for name, (why, text) in other.items()]


def _respelled(log: _Log, vote: Evidence) -> str:
    proof = log.barring(vote.packed)
    extra = proof.split("\n")[1].removeprefix("extra ")
    padded = b64_decode(extra)[:-2] + b'="}'
    return receipt_text(log.record(), log.bind(), [changed(proof, extra, b64_encode(padded))])


def _exchanged(vote: Evidence) -> str:
    turned = replace(vote, first=vote.second, second=vote.first)
    return _Log(item_of(turned)).receipt(turned)


def _renamed(vote: Evidence) -> str:
    renamed = replace(vote, offence="split_checkpoint")
    return _Log(item_of(renamed)).receipt(renamed)


def _lines_of_another(one: Evidence) -> str:
    """Street's lines of two histories, in property's name."""
    lines = [statement.raw.replace(b'"member":"street"', b'"member":"property"') for statement in _lines("street")]
    forged = replace(one, first=Statement("COSIGN", lines[0]), second=Statement("COSIGN", lines[1]))
    return _Log(item_of(forged)).receipt(forged)


def _lines(member: str) -> tuple[Statement, Statement]:
    found = split(member=member)
    return found.first, found.second


def _cut(vote: Evidence) -> str:
    """Bytes that are no evidence, under an entry that names them by their hash."""
    packed = vote.packed[:-1]
    cut = evidence_item(b64u_encode(sha256(packed).digest()), CULPRIT, vote.offence, vote.digests)
    log = _Log(cut)
    return receipt_text(log.record(), log.bind(), [log.barring(packed)])
