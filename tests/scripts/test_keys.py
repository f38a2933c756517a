"""The genesis ceremony: private files stay private, nothing is overwritten, and what it makes fits together."""

import ssl
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

import keys
from server.ledger.checkpoint import VerifierKey
from server.ledger.genesis import Genesis, parse_genesis
from server.ledger.policy import cosign_key, log_key, parse_policy
from server.node.keyring import read_keys
from server.node.transport import tls_context
from server.record.canonical import b64u_decode, b64u_encode
from server.record.signature import DeviceSigner, NodeSigner

NAMES = {"street": "居委会", "owners": "业委会", "property": "物业"}
FOUNDING = keys.Founding(("xiangshanyuan", "香山苑"), "linli.example/xiangshanyuan", created_ms=1_790_000_000_000)


@pytest.fixture
def ceremony(tmp_path: Path) -> tuple[Path, Genesis]:
    genesis, _ = keys.make_genesis(tmp_path / "all", FOUNDING, NAMES)
    return tmp_path / "all", genesis


def test_genesis_names_the_public_halves_of_the_private_keys(ceremony: tuple[Path, Genesis]) -> None:
    folder, genesis = ceremony
    assert parse_genesis((folder / "genesis.json").read_bytes())[0] == genesis
    assert [member.id for member in genesis.members] == sorted(NAMES)
    for member in genesis.members:
        for role in keys.SIGNING_ROLES:
            seed = keys.read_secret(folder / member.id / f"{role}.key")
            assert NodeSigner(seed).public == genesis.key(member.id, role)
        officer = DeviceSigner.from_pem((folder / member.id / f"officer-{member.id}.pem").read_bytes())
        assert [(one.member, one.device_key) for one in member.officers] == [(f"officer-{member.id}", officer.public)]


def test_a_node_reads_what_the_ceremony_made(ceremony: tuple[Path, Genesis]) -> None:
    folder, genesis = ceremony
    for member in NAMES:
        held = read_keys(folder / member, genesis, member)
        assert held.roll == keys.read_secret(folder / "street" / "roll.key")


def test_private_files_are_readable_by_their_owner_only(ceremony: tuple[Path, Genesis]) -> None:
    folder, _ = ceremony
    for member in NAMES:
        assert stat.S_IMODE((folder / member).stat().st_mode) == 0o700
        private = [path for path in (folder / member).iterdir() if path.suffix in (".key", ".pem")]
        assert len(private) == len(keys.SIGNING_ROLES) + len(keys.OWN_SECRETS) + 3
        assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_every_secret_is_its_own_but_the_roll_key(ceremony: tuple[Path, Genesis]) -> None:
    folder, _ = ceremony
    secrets = {path: path.read_bytes() for path in folder.glob("*/*.key") if path.name != "roll.key"}
    assert len(set(secrets.values())) == len(secrets) == len(NAMES) * 7
    assert len({path.read_bytes() for path in folder.glob("*/roll.key")}) == 1


def test_no_secret_stands_in_what_is_public(ceremony: tuple[Path, Genesis]) -> None:
    folder, _ = ceremony
    public = "".join(path.read_text() for path in [*folder.glob("*.*"), *folder.glob("*/public.json")])
    for path in folder.glob("*/*.key"):
        assert path.read_text().strip() not in public
    assert "PRIVATE" not in public


@pytest.mark.parametrize(
    ("count", "mode", "quorum"), [(1, "available", 1), (3, "available", 2), (3, "strict", 3), (4, "available", 3)]
)
def test_the_policy_file_asks_for_a_quorum(tmp_path: Path, count: int, mode: keys.Mode, quorum: int) -> None:
    names = {f"m{number}": "组织" for number in range(count)}
    founding = keys.Founding(FOUNDING.estate, FOUNDING.origin, mode)
    genesis, _ = keys.make_genesis(tmp_path / "all", founding, names)
    policy = parse_policy((tmp_path / "all" / "policy.txt").read_text())
    assert policy.groups["committed"].threshold == quorum
    assert policy.logs == tuple(log_key(genesis, member) for member in sorted(names))
    assert policy.witnesses == {member: cosign_key(genesis, member) for member in sorted(names)}
    assert all(isinstance(key, VerifierKey) for key in policy.witnesses.values())
    assert genesis.policy.attestations == genesis.policy.approvals == min(2, count)


def test_nothing_is_overwritten(ceremony: tuple[Path, Genesis]) -> None:
    folder, _ = ceremony
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(keys.CeremonyError, match="exists already"):
        keys.make_genesis(folder, FOUNDING, NAMES)
    (folder / "genesis.json").unlink()
    with pytest.raises(keys.CeremonyError, match="exists already"):
        keys.make_genesis(folder, FOUNDING, NAMES)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == {
        path: content for path, content in before.items() if path.name != "genesis.json"
    }


@pytest.mark.parametrize("names", [{"../x": "居委会"}, {"Street": "居委会"}, {"street": ""}, {"street": "a\nb"}, {}])
def test_a_bad_name_leaves_nothing_behind(tmp_path: Path, names: dict[str, str]) -> None:
    with pytest.raises(keys.CeremonyError):
        keys.make_genesis(tmp_path / "all", FOUNDING, names)
    assert list(tmp_path.iterdir()) == []


def test_organisations_make_their_own_keys_and_assemble_public_parts_only(tmp_path: Path) -> None:
    roll_key = bytes(range(32))
    for member, name in NAMES.items():
        keys.make_organisation(tmp_path / member, member, name, [f"officer-{member}", f"{member}-2"], roll_key)
    public = [keys.read_organisation(tmp_path / member / "public.json") for member in NAMES]
    genesis, cluster_id = keys.write_genesis(tmp_path / "out", FOUNDING.genesis(public))
    again = FOUNDING.genesis(list(reversed(public)))
    assert parse_genesis(again) == (genesis, cluster_id)
    assert [len(member.officers) for member in genesis.members] == [2, 2, 2]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["genesis.json", "policy.txt"]
    for member in NAMES:
        read_keys(tmp_path / member, genesis, member)


def test_one_organisation_cannot_stand_for_two(tmp_path: Path) -> None:
    organisation = keys.make_organisation(tmp_path / "a", "a", "甲", ["officer-a"], bytes(32))
    with pytest.raises(keys.CeremonyError, match="two places"):
        FOUNDING.genesis([organisation, msgspec.structs.replace(organisation, id="b")])


def test_a_bad_public_part_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "public.json"
    with pytest.raises(keys.CeremonyError, match="cannot read"):
        keys.read_organisation(path)
    path.write_text("{}")
    with pytest.raises(keys.CeremonyError, match=r"public\.json is not the public part"):
        keys.read_organisation(path)


def test_nodes_talk_with_the_certificates_of_the_ceremony(ceremony: tuple[Path, Genesis]) -> None:
    folder, genesis = ceremony
    pinned = {member.id: b64u_decode(member.transport_certificate) for member in genesis.members}
    ends = [context_of(folder / node, pinned, server=node == "street") for node in ("street", "owners")]
    assert shake_hands(*ends) == (pinned["owners"], pinned["street"])


def test_a_stranger_s_certificate_ends_the_handshake(ceremony: tuple[Path, Genesis], tmp_path: Path) -> None:
    folder, genesis = ceremony
    keys.make_organisation(tmp_path / "stranger", "owners", "业委会", [], bytes(32))
    pinned = {member.id: b64u_decode(member.transport_certificate) for member in genesis.members}
    server = context_of(folder / "street", pinned, server=True)
    with pytest.raises(ssl.SSLError):
        shake_hands(server, context_of(tmp_path / "stranger", pinned, server=False))


def context_of(folder: Path, pinned: dict[str, bytes], *, server: bool) -> ssl.SSLContext:
    return tls_context(str(folder / "transport.crt"), str(folder / "transport.pem"), pinned, server=server)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[bytes | None, bytes | None]:
    """TLS in memory; returns the certificates that server and client see."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname="street"),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert(binary_form=True), ends[1].getpeercert(binary_form=True)


def test_certificates_never_expire_and_are_named_after_their_node(ceremony: tuple[Path, Genesis]) -> None:
    folder, genesis = ceremony
    for member in genesis.members:
        certificate = x509.load_pem_x509_certificate((folder / member.id / "transport.crt").read_bytes())
        assert certificate.subject.rfc4514_string() == f"CN={member.id}"
        assert (certificate.not_valid_before_utc.year, certificate.not_valid_after_utc.year) == (2020, 9999)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, keys.__file__, *arguments], capture_output=True, text=True, check=False)


def test_the_command_line_makes_a_genesis_and_tells_its_fingerprint(tmp_path: Path) -> None:
    arguments = ["--estate", "x", "--name", "苑", "--origin", "linli.example/x", "--members", "a:甲,b:乙"]
    made = run("genesis", "--out", str(tmp_path / "all"), *arguments)
    _, cluster_id = parse_genesis((tmp_path / "all" / "genesis.json").read_bytes())
    assert (made.returncode, made.stderr) == (0, "")
    assert f"fingerprint {b64u_encode(cluster_id)[:16]}" in made.stdout
    again = run("genesis", "--out", str(tmp_path / "all"), *arguments)
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_the_command_line_runs_a_ceremony_of_two(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    assert run("member", "--out", str(first), "--id", "a", "--name", "甲").returncode == 0
    roll = ["--roll-key", str(first / "roll.key")]
    assert run("member", "--out", str(second), "--id", "b", "--name", "乙", *roll).returncode == 0
    public = [str(folder / "public.json") for folder in (first, second)]
    estate = ["--estate", "x", "--name", "苑", "--origin", "linli.example/x"]
    made = run("assemble", "--out", str(tmp_path / "out"), *estate, *public)
    assert made.returncode == 0, made.stderr
    genesis, _ = parse_genesis((tmp_path / "out" / "genesis.json").read_bytes())
    assert read_keys(second, genesis, "b").roll == read_keys(first, genesis, "a").roll


@pytest.mark.parametrize("members", ["a", "a:", ":甲", "a:甲,a:乙", ""])
def test_the_command_line_refuses_a_bad_list_of_members(tmp_path: Path, members: str) -> None:
    estate = ["--estate", "x", "--name", "苑", "--origin", "linli.example/x"]
    refused = run("genesis", "--out", str(tmp_path / "all"), *estate, "--members", members)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("keys: ")
    assert not (tmp_path / "all").exists()


def test_renewed_keys_are_those_in_use_once_they_are_adopted(ceremony: tuple[Path, Genesis]) -> None:
    folder, genesis = ceremony
    own = folder / "street"
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    renewed = keys.renew_keys(own)
    assert read_keys(own, genesis, "street").consensus.public == genesis.key("street", "consensus")
    with pytest.raises(keys.CeremonyError, match="exists already"):
        keys.renew_keys(own)
    keys.adopt_keys(own)
    after = {path.name: path.read_bytes() for path in own.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"consensus.key", "cosign.key", "public.json"}
    later = msgspec.structs.replace(
        genesis, members=tuple(renewed if one.id == "street" else one for one in genesis.members)
    )
    assert read_keys(own, later, "street").cosign.public == later.key("street", "cosign")
    assert keys.renew_keys(own) != renewed, "and so they may be renewed again"


def test_there_is_nothing_to_adopt_before_keys_are_renewed(ceremony: tuple[Path, Genesis]) -> None:
    with pytest.raises(keys.CeremonyError, match=r"keys\.py renew"):
        keys.adopt_keys(ceremony[0] / "street")
