"""What replicas tell each other (consensus.md 2.3), and the bytes of a frame.

A signed body is canonical JSON and binds type, epoch, view, height and, through the keyring, the cluster. Bodies travel
and are stored verbatim: nothing signed is ever encoded again. Certificates stand beside the body that refers to them,
because they prove themselves. Decoding raises Malformed and nothing else; it checks shape, never signatures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from server.limits import INTEGER_MAX
from server.record.canonical import Malformed, b64u_pattern, encode

Member = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,16}$(?!\n)")]
_DIGEST = b64u_pattern(32)
BlockId = Annotated[str, Meta(pattern=rf"^{_DIGEST}$(?!\n)")]
"""SHA-256 in base64url, strict: roots are decoded, and each digest has one spelling."""
OptionalDigest = Annotated[str, Meta(pattern=rf"^({_DIGEST})?$(?!\n)")]
Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Members = Annotated[tuple[Member, ...], Meta(max_length=16)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Canonical JSON object; every member stands once, sorted."""


class SignedBody(Body, frozen=True):
    """A body that is signed: always with the epoch and the member that says it."""

    epoch: Count
    sender: Member


class Prepare(SignedBody, frozen=True):
    """PBFT 4.2. `sender` holds this block and votes for it at (view, height): at most one in a view and height."""

    block_id: BlockId
    height: Count
    view: Count


class Commit(SignedBody, frozen=True):
    """PBFT 4.2. `sender` holds a quorum of PREPAREs. `new_view` names the NEW-VIEW of this view; empty in view 0."""

    block_id: BlockId
    height: Count
    new_view: OptionalDigest
    view: Count


class Executed(SignedBody, frozen=True):
    """What the tree and the state are after the block (decisions 6). Never evidence by itself."""

    height: Count
    root: BlockId
    size: Count
    state_digest: BlockId


class Suspect(SignedBody, frozen=True):
    """`sender` sees no progress in `view` and says why. It changes no state of the sender."""

    height: Count
    reason: Literal["record", "vote", "view", "timer", "seal", "evidence"]
    view: Count


class ViewChange(SignedBody, frozen=True):
    """PBFT 4.4. What `sender` had committed and prepared when it left for `view`."""

    last_block: OptionalDigest
    last_height: Count
    prepared_block: OptionalDigest
    prepared_view: Count
    view: Count


class NewView(SignedBody, frozen=True):
    """PBFT 4.4. A quorum of VIEW-CHANGEs, named by their digests, and what `select` makes of them."""

    base_height: Count
    block_id: OptionalDigest
    view: Count
    view_changes: Annotated[tuple[BlockId, ...], Meta(max_length=16)]


class Cosign(Body, frozen=True):
    """A checkpoint line of `member`; the line is its own signature and anyone may pass it on."""

    line: Annotated[str, Meta(max_length=400)]
    member: Member
    root: BlockId
    size: Count


class Held(Body, frozen=True):
    """Newest tree size that `member` is known to have cosigned."""

    member: Member
    size: Count


class Status(Body, frozen=True):
    """Where the sender stands and whose votes it holds, so that a peer sends what is missing. Not trusted."""

    accused: Members
    attachments_missing: bool
    commits: Members
    cosigned: Annotated[tuple[Held, ...], Meta(max_length=16)]
    executed: Members
    height: Count
    mode: Literal["normal", "changing", "stopped"]
    prepares: Members
    size: Count
    tip: OptionalDigest
    view: Count
    voted: OptionalDigest


class Release(msgspec.Struct, frozen=True):
    """Beside each STATUS: the highest version of the rules that the sender's release knows, if that is not the first.

    Not signed: it says something of its sender only. Older releases drop this frame; later ones may add members to it,
    which are passed over (DESIGN.md D30).
    """

    rules: Count


class Fetch(Body, frozen=True):
    """Ask for a block by id: a NEW-VIEW names it, its batch is elsewhere (decisions 9)."""

    block_id: BlockId
    height: Count


class SyncRequest(Body, frozen=True):
    """Ask for committed blocks from this height on."""

    from_height: Count


B = TypeVar("B", bound=SignedBody)


@dataclass(frozen=True, slots=True)
class Signed(Generic[B]):
    """A signed body with the very bytes that were signed."""

    body: B
    raw: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class PrePrepareMessage:
    """PBFT 4.2. The primary's proposal: its own PREPARE, and the block as packed by `block.pack_block`.

    The paper signs the PRE-PREPARE and lets it count as the primary's PREPARE; here they are one signature.
    """

    prepare: Signed[Prepare]
    block: bytes


@dataclass(frozen=True, slots=True)
class CommitMessage:
    """COMMIT, and EXECUTED which rides with it."""

    commit: Signed[Commit]
    executed: Signed[Executed]


@dataclass(frozen=True, slots=True)
class ViewChangeMessage:
    """A VIEW-CHANGE with its proofs: certificates of the last block, of the suspicion and of the prepared block."""

    change: Signed[ViewChange]
    last: bytes
    suspects: bytes
    prepared: bytes
    header: bytes
    """Header of the prepared block; empty when there is none."""


@dataclass(frozen=True, slots=True)
class NewViewMessage:
    """A NEW-VIEW with its VIEW-CHANGEs verbatim."""

    new_view: Signed[NewView]
    changes: tuple[ViewChangeMessage, ...]


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A client's record passed on by a peer, with the id it claims and its small attachments (packed)."""

    record_id: str
    record: bytes
    attachments: bytes


@dataclass(frozen=True, slots=True)
class EvidenceMessage:
    """Two statements of one member that no honest member makes together, as `evidence.Evidence` packs them."""

    evidence: bytes


@dataclass(frozen=True, slots=True)
class BatchMessage:
    """Answer to FETCH: the packed block."""

    block: bytes


@dataclass(frozen=True, slots=True)
class SyncReplyMessage:
    """Answer to SYNC-REQUEST: packed blocks, each with its commit certificate, in order of height."""

    blocks: tuple[tuple[bytes, bytes], ...]


Message = (
    PrePrepareMessage
    | Signed[Prepare]
    | CommitMessage
    | Signed[Executed]
    | Signed[Suspect]
    | ViewChangeMessage
    | NewViewMessage
    | Cosign
    | Status
    | Release
    | RequestMessage
    | EvidenceMessage
    | Fetch
    | BatchMessage
    | SyncRequest
    | SyncReplyMessage
)

TYPES: dict[type[SignedBody], str] = {
    Prepare: "PREPARE",
    Commit: "COMMIT",
    Executed: "EXECUTED",
    Suspect: "SUSPECT",
    ViewChange: "VIEW-CHANGE",
    NewView: "NEW-VIEW",
}
"""The type line of what is signed (DESIGN.md 2.6)."""

_decoders: dict[type[Body], msgspec.json.Decoder[Body]] = {}


def read_body(shape: type[B], raw: bytes, signature: bytes) -> Signed[B]:
    """The signed body of its bytes. Raises Malformed."""
    return Signed(decode_body(shape, raw), raw, signature)


def read_release(raw: bytes) -> Release:
    """What a release says of itself, also a later one that says more. Raises Malformed."""
    try:
        return _RELEASE.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not a Release: {error}") from None


_RELEASE = msgspec.json.Decoder(Release)
T = TypeVar("T", bound=Body)


def decode_body(shape: type[T], raw: bytes) -> T:
    """The body of canonical bytes, of exactly this shape. Raises Malformed."""
    decoder = _decoders.get(shape)
    if decoder is None:
        decoder = _decoders.setdefault(shape, msgspec.json.Decoder(shape))
    try:
        body = decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not a {shape.__name__}: {error}") from None
    if encode(body) != raw:
        raise Malformed(f"a {shape.__name__} that is not canonical")
    assert isinstance(body, shape)
    return body
