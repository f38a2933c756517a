"""Change who the members of a running cluster are: draw a change up, have every operator sign it, bring it.

    python3 scripts/members.py show --url URL
    python3 scripts/members.py propose --url URL --out FILE --add PUBLIC | --remove ID | --rotate PUBLIC | --policy JSON
    python3 scripts/members.py sign FILE --operator-key operator.key
    python3 scripts/members.py bring FILE --url URL --officer ID --key officer-ID.pem
    python3 scripts/members.py resolve --kept ID=URL --abandoned ID=URL --renew PUBLIC --key officer-ID.pem --out FILE
    python3 scripts/members.py give FILE --data DATA

PUBLIC is the public.json of an organisation: of keys.py member for who joins, of keys.py renew for new keys. The file
goes from operator to operator, on a stick if need be: `sign` needs no network, says in words what is agreed to, and
adds one signature. Everybody who will be a member signs; who is put out is not asked. `bring` hands it in; it begins
when everybody who stays has sealed it, and members.py show says so. Steps for each case: docs/members.md.

`resolve` is for a fork: nodes that have stopped with two histories (docs/forks.md). It reads the branches from the
nodes, `sign` signs it as above, `give` lays it into the data folder of each node, which is then started again.
"""

import argparse
import asyncio
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

import aiohttp
import msgspec

import client
import keys
import resolutions
from resolutions import Refused
from server.ledger.genesis import OPERATOR, Organisation, Policy, parse_genesis
from server.ledger.membership import (
    Change,
    ChangeKind,
    Epoch,
    OperatorSignature,
    SignedChange,
    check_change,
    sign_change,
    signers_needed,
    unsigned_by,
)
from server.record.canonical import Malformed, b64u_decode, decode, encode
from server.record.shape import Digest, Shape, parse
from server.record.signature import DeviceSigner, NodeSigner

TIMEOUT_S = 10.0


class Agreement(Shape, frozen=True):
    """The file that goes around: the change, whose members it is about, and the signatures so far."""

    before: tuple[Organisation, ...]
    """The members now: whose operator keys count."""
    change: Change
    cluster_id: Digest
    policy: Policy
    signatures: tuple[OperatorSignature, ...]

    @property
    def signed(self) -> SignedChange:
        """What is brought."""
        return SignedChange(change=self.change, signatures=self.signatures)

    @property
    def epoch(self) -> Epoch:
        """The epoch that the change ends."""
        return Epoch(self.change.epoch, self.before, self.policy)

    @property
    def missing(self) -> tuple[str, ...]:
        """Who must still sign."""
        return unsigned_by(self.epoch, b64u_decode(self.cluster_id, 32), self.signed)


def fetch_members(url: str) -> dict[str, Any]:
    """What a node says of the members. Raises Refused."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/members", timeout=TIMEOUT_S) as answer:  # noqa: S310 - the operator's
            return dict(msgspec.json.decode(answer.read()))
    except (urllib.error.URLError, OSError, ValueError, msgspec.DecodeError) as error:
        raise Refused(f"cannot ask {url}: {error}") from None


def propose(now: dict[str, Any], kind: ChangeKind, given: Organisation | str | Policy) -> Agreement:
    """A change of the members that a node told, with no signature yet. Raises Refused."""
    before = tuple(parse(Organisation, member) for member in now["members"])
    policy = parse(Policy, now["policy"])
    if now["pending"]:
        raise Refused(f"a change waits already ({now['pending']}): it begins when everybody who stays has sealed it")
    after = {member.id: member for member in before}
    if isinstance(given, Organisation):
        if (given.id in after) != (kind == "key.rotate"):
            raise Refused(f"{given.id} is {'a' if given.id in after else 'no'} member")
        after[given.id] = given
    elif isinstance(given, str) and after.pop(given, None) is None:
        raise Refused(f"{given} is no member")
    members = tuple(member for _, member in sorted(after.items()))
    change = Change(now["epoch"], kind, members, given if isinstance(given, Policy) else policy)
    try:
        check_change(SignedChange(change=change, signatures=()))
    except Malformed as error:
        raise Refused(str(error)) from None
    return Agreement(before, change, now["cluster_id"], policy, ())


def read_agreement(path: Path) -> Agreement:
    """The file that goes around. Raises Refused."""
    try:
        agreement = parse(Agreement, decode(path.read_bytes()))
        check_change(agreement.signed)
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from None
    except Malformed as error:
        raise Refused(f"{path} is not a change of members: {error}") from None
    return agreement


def agree(agreement: Agreement, signer: NodeSigner) -> tuple[Agreement, str]:
    """The agreement with the signature of whose operator key this is; and who that is. Raises Refused."""
    needed = signers_needed(agreement.change)
    known = {member.id: member for member in (*agreement.change.members, *agreement.before)}
    whose = [node for node in needed if b64u_decode(known[node].operator_key, 32) == signer.public]
    if not whose:
        raise Refused(f"this is the {OPERATOR} key of none of {', '.join(needed)}")
    signed = sign_change(signer, whose[0], b64u_decode(agreement.cluster_id, 32), agreement.signed)
    return msgspec.structs.replace(agreement, signatures=signed.signatures), whose[0]


def in_words(agreement: Agreement) -> list[str]:
    """What the operators agree to, for people."""
    before = {member.id: member for member in agreement.before}
    after = {member.id: member for member in agreement.change.members}
    lines = [f"ledger {agreement.cluster_id[: keys.FINGERPRINT_LENGTH]}, epoch {agreement.change.epoch} ends"]
    for node in sorted({*before, *after}):
        if node not in before:
            key = after[node].consensus_key[: keys.FINGERPRINT_LENGTH]
            lines.append(f"  + {node} {after[node].name} joins, consensus key {key}")
        elif node not in after:
            lines.append(f"  - {node} {before[node].name} leaves")
        elif before[node] != after[node]:
            lines.append(f"  * {node} {after[node].name} signs with new keys from then on")
        else:
            lines.append(f"    {node} {after[node].name} stays as it is")
    if agreement.change.policy != agreement.policy:
        lines.append(f"  * policy: {encode(agreement.change.policy).decode()}")
    missing = agreement.missing
    lines.append(f"signatures missing: {', '.join(missing)}" if missing else "all signatures are here")
    return lines


async def bring(agreement: Agreement, url: str, officer: str, signer: DeviceSigner) -> str:
    """Hand the change in as an officer's record; returns its outcome. Raises Refused."""
    async with aiohttp.ClientSession() as http:
        person = client.Person(http, [url], signer)
        try:
            await person.open_session()
            person.member = officer
            answer = await person.do("members.change", msgspec.to_builtins(agreement.signed))
        except (client.ApiError, TimeoutError, aiohttp.ClientError) as error:
            raise Refused(f"{url}: {error}") from None
    return str(answer["outcome"])


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    try:
        _COMMANDS[options.command](options)
    except (Refused, keys.CeremonyError) as error:
        print(f"members: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"members: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _show(options: argparse.Namespace) -> None:
    now = fetch_members(options.url)
    print(f"epoch {now['epoch']}" + (f"; a change waits for its seal: {now['pending']}" if now["pending"] else ""))
    for member in now["members"]:
        print(f"  {member['id']:16} {member['name']}  consensus key {member['consensus_key'][:16]}")


def _propose(options: argparse.Namespace) -> None:
    now, given = fetch_members(options.url), _given(options)
    agreement = propose(now, *given)
    options.out.write_bytes(encode(agreement))
    print("\n".join(in_words(agreement)))
    print(f"Written to {options.out}: now every operator named signs it with members.py sign.")


def _given(options: argparse.Namespace) -> tuple[ChangeKind, Organisation | str | Policy]:
    if options.add:
        return "node.add", keys.read_organisation(options.add)
    if options.rotate:
        return "key.rotate", keys.read_organisation(options.rotate)
    if options.remove:
        return "node.remove", str(options.remove)
    try:
        return "policy.set", parse(Policy, decode(options.policy.encode()))
    except Malformed as error:
        raise Refused(f"--policy: {error}") from None


def _sign(options: argparse.Namespace) -> None:
    if resolutions.is_draft(options.file):
        return _sign_resolution(options)
    agreement = read_agreement(options.file)
    agreement, node = agree(agreement, NodeSigner(keys.read_secret(options.operator_key)))
    options.file.write_bytes(encode(agreement))
    print("\n".join([f"{node} agrees to this:", *in_words(agreement)]))


def _device(path: Path) -> DeviceSigner:
    try:
        return DeviceSigner.from_pem(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Refused(f"{path} is not an officer's key: {error}") from None


def _bring(options: argparse.Namespace) -> None:
    agreement = read_agreement(options.file)
    if agreement.missing:
        raise Refused(f"signatures missing: {', '.join(agreement.missing)}")
    outcome = asyncio.run(bring(agreement, options.url, options.officer, _device(options.key)))
    if outcome != "accepted":
        raise Refused(f"ordered, but without effect: {outcome}")
    print("Ordered. It begins when everybody who stays has sealed it: members.py show says when.")


def _sign_resolution(options: argparse.Namespace) -> None:
    draft = resolutions.read_draft(options.file)
    draft, node = resolutions.sign_draft(draft, NodeSigner(keys.read_secret(options.operator_key)))
    options.file.write_bytes(encode(draft))
    print("\n".join([f"{node} agrees to this:", *resolutions.in_words(draft)]))


def _resolve(options: argparse.Namespace) -> None:
    draft = asyncio.run(resolve(dict(options.kept), dict(options.abandoned), options.renew, _device(options.key)))
    options.out.write_bytes(encode(draft))
    print("\n".join(resolutions.in_words(draft)))
    print(f"Written to {options.out}: now every operator named signs it with members.py sign.")


async def resolve(
    kept: Mapping[str, str], abandoned: Mapping[str, str], renewed: Sequence[Path], officer: DeviceSigner
) -> resolutions.Draft:
    """Read the branches from the nodes, by member and address, and draw the resolution up. Raises Refused."""
    fresh = [keys.read_organisation(path) for path in renewed]
    url = next(iter(kept.values()))
    now = await asyncio.to_thread(fetch_members, url)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_read=60)) as http:
        ours, theirs = [
            [await resolutions.read_history(http, member, at, officer) for member, at in side.items()]
            for side in (kept, abandoned)
        ]
        evidence = await resolutions.read_evidence(http, (*kept.values(), *abandoned.values()))
        async with http.get(f"{url}/genesis.json") as answer:
            genesis, _ = parse_genesis(await answer.read())
    return resolutions.draw_up(now, genesis.origin, ours, theirs, evidence, fresh)


def _give(options: argparse.Namespace) -> None:
    path = resolutions.give(resolutions.read_draft(options.file), options.data)
    print(f"{path}: start the node again. It says in its log what it does, and writes nothing over.")


def _side(text: str) -> tuple[str, str]:
    member, equals, url = text.partition("=")
    if not (member and equals and url.startswith("http")):
        raise argparse.ArgumentTypeError("not ID=URL")
    return member, url.rstrip("/")


_COMMANDS = {
    "show": _show,
    "propose": _propose,
    "sign": _sign,
    "bring": _bring,
    "resolve": _resolve,
    "give": _give,
}


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="members.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="who the members are")
    proposal = commands.add_parser("propose", help="draw a change up")
    what = proposal.add_mutually_exclusive_group(required=True)
    what.add_argument("--add", type=Path, metavar="PUBLIC", help="public.json of who joins")
    what.add_argument("--remove", metavar="ID", help="who leaves")
    what.add_argument("--rotate", type=Path, metavar="PUBLIC", help="next/public.json of who gets new keys")
    what.add_argument("--policy", metavar="JSON", help="all numbers of the policy, as in genesis")
    proposal.add_argument("--out", type=Path, required=True, help="the file that goes around")
    sign = commands.add_parser("sign", help="agree as an operator; needs no network")
    sign.add_argument("file", type=Path)
    sign.add_argument("--operator-key", type=Path, required=True)
    handing = commands.add_parser("bring", help="hand the signed change in")
    handing.add_argument("file", type=Path)
    handing.add_argument("--officer", required=True, help="member id of an officer")
    handing.add_argument("--key", type=Path, required=True, help="the officer's key, officer-ID.pem")
    fork = commands.add_parser("resolve", help="draw up which branch of a fork is kept")
    for name, words in (("kept", "the kept branch"), ("abandoned", "a branch that is given up")):
        fork.add_argument(
            f"--{name}", type=_side, action="append", required=True, metavar="ID=URL", help=f"a node that holds {words}"
        )
    fork.add_argument("--renew", type=Path, action="append", default=[], metavar="PUBLIC", help="next/public.json")
    fork.add_argument("--key", type=Path, required=True, help="the key of an officer who may read the log")
    fork.add_argument("--out", type=Path, required=True, help="the file that goes around")
    giving = commands.add_parser("give", help="lay a signed resolution into a node's data folder")
    giving.add_argument("file", type=Path)
    giving.add_argument("--data", type=Path, required=True, help="the node's data folder")
    for command in (show, proposal, handing):
        command.add_argument("--url", required=True, help="address of a member's node")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
