"""The genesis ceremony: each organisation's private keys, and the genesis file that all of them share.

    python3 scripts/keys.py genesis --out DIR --estate ID --name NAME --origin ORIGIN --members street:居委会,...
    python3 scripts/keys.py member --out DIR --id ID --name NAME [--roll-key FILE]
    python3 scripts/keys.py renew --keys DIR
    python3 scripts/keys.py adopt --keys DIR
    python3 scripts/keys.py assemble --out DIR --estate ID --name NAME --origin ORIGIN PUBLIC...

`genesis` makes everything in one place, for a demo or a trial. In earnest each organisation runs `member` on its own
machine and hands out public.json only; whoever runs `assemble` learns no private key, and every organisation compares
the fingerprint it prints. Private files have mode 0600 in a folder of mode 0700; nothing is ever overwritten.

`renew` makes new consensus and cosign keys in DIR/next, beside those in use, and DIR/next/public.json: members.py
brings them into the ledger, and the node takes them when their epoch begins. Then `adopt` puts them in the place of the
old ones, which are deleted. After a journal was lost `adopt` comes before the node starts again.

A *.key file is one line: 32 bytes in base64url. transport.crt and transport.pem serve the connections between nodes,
officer-*.pem are the signing keys of the organisation's officers: move them to their devices. operator.key is what the
organisation will agree to another membership with: no node reads it, so move it to a safe, away from the machine.
"""

import argparse
import os
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.consensus.quorum import Mode, Quorum
from server.ledger.genesis import Estate, Genesis, Officer, Organisation, Policy, parse_genesis
from server.ledger.policy import policy_text
from server.limits import DAY_MS
from server.node.keyring import NEXT
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode
from server.record.shape import parse
from server.record.signature import DeviceSigner, NodeSigner

SIGNING_ROLES = ("attest", "consensus", "cosign", "log", "operator")
OWN_SECRETS = ("token", "vault")
SEED_BYTES = 32
FINGERPRINT_LENGTH = 16
"""Characters of the cluster id that are printed in the lobby and compared by people (decisions 25)."""
_VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(9999, 12, 31, tzinfo=UTC)
"""RFC 5280 4.1.2.5: no good expiry date. The certificate is pinned by genesis; its date decides nothing."""


class CeremonyError(ValueError):
    """The ceremony cannot go on: something exists already, is missing or of the wrong form."""


@dataclass(frozen=True, slots=True)
class Founding:
    """What the organisations agree on besides their keys. `estate` is (id, name)."""

    estate: tuple[str, str]
    origin: str
    mode: Mode = "available"
    created_ms: int = 0

    def genesis(self, members: Sequence[Organisation]) -> bytes:
        """The bytes of genesis.json. Raises CeremonyError."""
        n = len(members)
        policy = Policy(
            approvals=min(2, n), attestations=min(2, n), final_without_ms=3 * DAY_MS, new_key_vote_delay_ms=DAY_MS
        )
        data = encode(
            Genesis(
                created_ms=self.created_ms or time.time_ns() // 1_000_000,
                estate=Estate(id=self.estate[0], name=self.estate[1]),
                members=tuple(sorted(members, key=lambda member: member.id)),
                mode=self.mode,
                origin=self.origin,
                policy=policy,
                rules=1,
            )
        )
        try:
            parse_genesis(data)
        except Malformed as error:
            raise CeremonyError(f"genesis: {error}") from None
        keys = [getattr(member, f"{role}_key") for member in members for role in SIGNING_ROLES]
        if len(set(keys)) != len(keys):
            raise CeremonyError("genesis: one key stands in two places; each organisation and role needs its own")
        return data


def make_genesis(out: Path, founding: Founding, names: dict[str, str]) -> tuple[Genesis, bytes]:
    """The whole ceremony in one place: `names` by member id. Returns genesis and cluster id.

    Makes OUT/<id>/ for each organisation, OUT/genesis.json and OUT/policy.txt. Raises CeremonyError.
    """
    _refuse_existing([out / "genesis.json", out / "policy.txt", *(out / node for node in names)])
    roll_key = secrets.token_bytes(SEED_BYTES)
    # Everything is tried once with throw-away values, so that a bad name leaves no half a ceremony behind.
    founding.genesis([_sample_organisation(node, name) for node, name in names.items()])
    out.mkdir(parents=True, exist_ok=True)
    members = [make_organisation(out / node, node, name, [officer_id(node)], roll_key) for node, name in names.items()]
    return write_genesis(out, founding.genesis(members))


def officer_id(node: str) -> str:
    """Member id of an organisation's first officer."""
    return f"officer-{node}"


def make_organisation(folder: Path, node: str, name: str, officers: Sequence[str], roll_key: bytes) -> Organisation:
    """Make an organisation's private keys in a new folder, and its public part (also written as public.json)."""
    check_organisation(_sample_organisation(node, name, officers))
    _refuse_existing([folder])
    folder.mkdir(mode=0o700, parents=True)
    signers = {role: _new_signer(folder / f"{role}.key") for role in SIGNING_ROLES}
    for role in OWN_SECRETS:
        _write_secret(folder / f"{role}.key", secrets.token_bytes(SEED_BYTES))
    _write_secret(folder / "roll.key", roll_key)
    certificate = _new_certificate(folder, node)
    devices = {officer: DeviceSigner.generate() for officer in officers}
    for officer, device in devices.items():
        _write_private(folder / f"officer-{officer.removeprefix('officer-')}.pem", device.pem())
    organisation = Organisation(
        **{f"{role}_key": b64u_encode(signer.public) for role, signer in signers.items()},
        id=node,
        name=name,
        officers=tuple(Officer(device_key=device.public, member=officer) for officer, device in devices.items()),
        transport_certificate=b64u_encode(certificate),
    )
    _write_public(folder / "public.json", encode(organisation))
    return organisation


def check_organisation(organisation: Organisation) -> None:
    """Raise CeremonyError unless genesis would accept this public part."""
    Founding(("estate", "estate"), "example/estate").genesis([organisation])


def read_organisation(path: Path) -> Organisation:
    """An organisation's public part. Raises CeremonyError."""
    try:
        organisation = parse(Organisation, decode(path.read_bytes()))
    except OSError as error:
        raise CeremonyError(f"cannot read {path}: {error.strerror}") from None
    except Malformed as error:
        raise CeremonyError(f"{path} is not the public part of an organisation: {error}") from None
    check_organisation(organisation)
    return organisation


def write_genesis(out: Path, data: bytes) -> tuple[Genesis, bytes]:
    """Write genesis.json and policy.txt; returns genesis and cluster id."""
    genesis, cluster_id = parse_genesis(data)
    _refuse_existing([out / "genesis.json", out / "policy.txt"])
    out.mkdir(parents=True, exist_ok=True)
    quorum = Quorum(len(genesis.members), genesis.mode).quorum
    _write_public(out / "genesis.json", data)
    _write_public(out / "policy.txt", policy_text(genesis, quorum).encode())
    return genesis, cluster_id


def read_secret(path: Path) -> bytes:
    """The 32 bytes of a *.key file. Raises CeremonyError."""
    try:
        return b64u_decode(path.read_text("ascii").strip(), SEED_BYTES)
    except OSError as error:
        raise CeremonyError(f"cannot read {path}: {error.strerror}") from None
    except (Malformed, UnicodeDecodeError):
        raise CeremonyError(f"{path} does not hold a key") from None


def _new_signer(path: Path) -> NodeSigner:
    seed = secrets.token_bytes(SEED_BYTES)
    _write_secret(path, seed)
    return NodeSigner(seed)


def _new_certificate(folder: Path, node: str) -> bytes:
    """A self-signed certificate for TLS between nodes; returns its DER."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), _VALID_FROM, _VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(node)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(key, None)
    )
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    _write_private(folder / "transport.pem", key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    _write_public(folder / "transport.crt", certificate.public_bytes(serialization.Encoding.PEM))
    return certificate.public_bytes(serialization.Encoding.DER)


def _sample_organisation(node: str, name: str, officers: Sequence[str] = ()) -> Organisation:
    """A public part with these names and throw-away keys, to try the names on genesis' own parser."""
    device = DeviceSigner.generate().public
    return Organisation(
        **{f"{role}_key": b64u_encode(secrets.token_bytes(SEED_BYTES)) for role in SIGNING_ROLES},
        id=node,
        name=name,
        officers=tuple(Officer(device_key=device, member=officer) for officer in officers),
        transport_certificate="",
    )


def _refuse_existing(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.exists():
            raise CeremonyError(f"{path} exists already; keys are never overwritten")


def _write_secret(path: Path, secret: bytes) -> None:
    _write_private(path, b64u_encode(secret).encode() + b"\n")


def _write_private(path: Path, content: bytes) -> None:
    _write(path, content, 0o600)


def _write_public(path: Path, content: bytes) -> None:
    _write(path, content, 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Create a file, never replace one; durable before we go on, because a lost key cannot be made again."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise CeremonyError(f"{path} exists already; keys are never overwritten") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    commands = {
        "genesis": _run_genesis, "member": _run_member, "renew": _run_renew, "adopt": _run_adopt,
        "assemble": _run_assemble,
    }  # fmt: skip
    try:
        commands[options.command](options)
    except CeremonyError as error:
        print(f"keys: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"keys: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _run_genesis(options: argparse.Namespace) -> None:
    genesis, cluster_id = make_genesis(options.out, _founding(options), _parse_members(options.members))
    _tell(options.out, genesis, cluster_id)


def _run_member(options: argparse.Namespace) -> None:
    roll_key = read_secret(options.roll_key) if options.roll_key else secrets.token_bytes(SEED_BYTES)
    officers = options.officer or [officer_id(options.id)]
    make_organisation(options.out, options.id, options.name, officers, roll_key)
    print(f"Private keys of {options.id}: {options.out}. Keep a copy offline.")
    print(f"Move {options.out / 'operator.key'} away from this machine, into a safe: the node never needs it.")
    print(f"Hand out only {options.out / 'public.json'}.")
    if not options.roll_key:
        print(f"A new roll key was made: give {options.out / 'roll.key'} to the other organisations (--roll-key).")


def renew_keys(folder: Path) -> Organisation:
    """Make the keys that a `key.rotate` brings, in FOLDER/next. Returns the public part that has them."""
    organisation, fresh = read_organisation(folder / "public.json"), folder / NEXT
    _refuse_existing([fresh])
    fresh.mkdir(mode=0o700)
    signers = {role: _new_signer(fresh / f"{role}.key") for role in ("consensus", "cosign")}
    public = {f"{role}_key": b64u_encode(signer.public) for role, signer in signers.items()}
    renewed = msgspec.structs.replace(organisation, **public)
    _write_public(fresh / "public.json", encode(renewed))
    return renewed


def _run_renew(options: argparse.Namespace) -> None:
    organisation = renew_keys(options.keys)
    print(f"New keys of {organisation.id}: {options.keys / NEXT}. The old ones stay in use until their epoch ends.")
    print(f"Now: members.py propose --rotate {options.keys / NEXT / 'public.json'}")


def adopt_keys(folder: Path) -> None:
    """Put the keys in FOLDER/next in the place of the old ones, which nobody signs with any more.

    Cut off in the middle, it is run again. Raises CeremonyError where there are none.
    """
    fresh = folder / NEXT
    if not fresh.is_dir():
        raise CeremonyError(f"{fresh} does not exist: keys.py renew makes the next keys")
    for path in sorted(fresh.iterdir()):
        path.replace(folder / path.name)
    fresh.rmdir()


def _run_adopt(options: argparse.Namespace) -> None:
    adopt_keys(options.keys)
    print(f"The keys in {options.keys} are the new ones. The old ones are gone.")


def _run_assemble(options: argparse.Namespace) -> None:
    members = [read_organisation(path) for path in options.public]
    genesis, cluster_id = write_genesis(options.out, _founding(options).genesis(members))
    _tell(options.out, genesis, cluster_id)


def _founding(options: argparse.Namespace) -> Founding:
    return Founding((options.estate, options.name), options.origin, options.mode)


def _parse_members(text: str) -> dict[str, str]:
    members: dict[str, str] = {}
    for part in text.split(","):
        node, colon, name = part.partition(":")
        if not (node and colon and name) or node in members:
            raise CeremonyError(f"--members is ID:NAME,ID:NAME,... with each id once; not {part!r}")
        members[node] = name
    return members


def _tell(out: Path, genesis: Genesis, cluster_id: bytes) -> None:
    quorum = Quorum(len(genesis.members), genesis.mode)
    print(f"{out / 'genesis.json'}: {genesis.estate.name}, {quorum.n} members, quorum {quorum.quorum}")
    for member in genesis.members:
        print(f"  {member.id}  {member.name}  consensus key {member.consensus_key[:FINGERPRINT_LENGTH]}")
    print(f"fingerprint {b64u_encode(cluster_id)[:FINGERPRINT_LENGTH]}: compare it at every organisation")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="keys.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    genesis = commands.add_parser("genesis", help="make all organisations' keys and their genesis in one place")
    genesis.add_argument("--members", required=True, help="ID:NAME,ID:NAME,...")
    member = commands.add_parser("member", help="make one organisation's keys")
    member.add_argument("--out", type=Path, required=True, help="a new folder")
    member.add_argument("--id", required=True)
    member.add_argument("--name", required=True)
    member.add_argument("--officer", action="append", help="member id of an officer; may be repeated")
    member.add_argument("--roll-key", type=Path, help="the roll key that another organisation made")
    renew = commands.add_parser("renew", help="make an organisation's next consensus and cosign keys")
    adopt = commands.add_parser("adopt", help="put the next keys in the place of the old ones")
    for command in (renew, adopt):
        command.add_argument("--keys", type=Path, required=True, help="the organisation's key folder")
    assemble = commands.add_parser("assemble", help="make genesis from the organisations' public parts")
    assemble.add_argument("public", type=Path, nargs="+", metavar="PUBLIC")
    for command in (genesis, assemble):
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--estate", required=True, help="id of the estate: a-z, 0-9 and -")
        command.add_argument("--name", required=True, help="name of the estate")
        command.add_argument("--origin", required=True, help="origin of the log, such as linli.example/xiangshanyuan")
        command.add_argument("--mode", choices=("available", "strict"), default="available")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
