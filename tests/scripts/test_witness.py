"""An outside witness never signs two histories, and push brings its lines to the node (c2sp.org/tlog-witness)."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

import verify
import witness as program
from server.api.witnessed import WITNESSED_FILE
from server.ledger.checkpoint import (
    TYPE_COSIGNATURE,
    TYPE_LOG,
    Checkpoint,
    VerifierKey,
    b64_encode,
    log_line,
    note_of,
    parse_note,
    verify_lines,
)
from server.ledger.merkle import Frontier, consistency_proof, leaf_hash, node_hash
from server.ledger.policy import Grade, parse_policy, verify_checkpoint
from server.record.canonical import Malformed
from server.record.signature import NodeSigner
from tests.api.running import Site, running_site
from witnessing.desk import Refused, WitnessDesk, make_app
from witnessing.memory import MemoryTaken, WitnessMemory
from witnessing.pushing import PushError, Witness, push

ORIGIN = "log.example/estate"
NAME = "archive.example/w1"
LOG, WITNESS = NodeSigner(b"l" * 32), NodeSigner(b"w" * 32)
LOG_KEY = VerifierKey(ORIGIN, TYPE_LOG, LOG.public)
WITNESS_KEY = VerifierKey(NAME, TYPE_COSIGNATURE, WITNESS.public)
NOW_S = 1_790_000_000


def leaves_of(size: int, branch: str = "") -> list[bytes]:
    return [leaf_hash(f"{branch if place >= 3 else ''}{place}".encode()) for place in range(size)]


def root_of(leaves: Sequence[bytes]) -> bytes:
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def prove(old: int, leaves: list[bytes]) -> list[bytes]:
    def read(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))

    return consistency_proof(old, len(leaves), read) if 0 < old < len(leaves) else []


def note(size: int, branch: str = "", signer: NodeSigner = LOG, origin: str = ORIGIN) -> str:
    root = root_of(leaves_of(size, branch))
    return note_of(Checkpoint(origin, size, root), [log_line(signer, origin, size, root)])


def request(old: int, size: int, branch: str = "", text: str = "", proof: list[bytes] | None = None) -> str:
    steps = prove(old, leaves_of(size, branch)) if proof is None else proof
    return f"old {old}\n{''.join(b64_encode(step) + chr(10) for step in steps)}\n{text or note(size, branch)}"


@pytest.fixture
def desk(tmp_path: Path) -> WitnessDesk:
    memory = WitnessMemory(tmp_path / "memory")
    memory.__enter__()
    return WitnessDesk(NAME, WITNESS, [LOG_KEY], memory, lambda: NOW_S)


def status_of(desk: WitnessDesk, text: str) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        desk.add(text)
    return refused.value.status, refused.value.answer


def test_checkpoint_that_continues_is_signed_with_the_time(desk: WitnessDesk) -> None:
    for old, size in ((0, 5), (5, 8), (8, 8), (8, 21)):
        line = desk.add(request(old, size))
        assert line.endswith("\n")
        signed = parse_note(note(size) + line, ORIGIN)
        assert verify_lines(signed, [LOG_KEY, WITNESS_KEY]) == {LOG_KEY: 0, WITNESS_KEY: NOW_S}


def test_other_size_is_told_the_one_that_was_signed_last(desk: WitnessDesk) -> None:
    desk.add(request(0, 5))
    for old in (0, 3, 6):
        assert status_of(desk, request(old, 8)) == (409, "5\n")
    desk.add(request(5, 8))


def test_other_root_of_the_same_size_is_a_conflict(desk: WitnessDesk) -> None:
    desk.add(request(0, 5))
    assert status_of(desk, request(5, 5, "other "))[0] == 409


@pytest.mark.parametrize(
    ("old", "proof"), [(5, []), (5, prove(5, leaves_of(9))), (5, prove(4, leaves_of(8))), (5, [bytes(32)] * 3)]
)
def test_checkpoint_without_its_proof_is_not_signed(desk: WitnessDesk, old: int, proof: list[bytes]) -> None:
    desk.add(request(0, 5))
    assert status_of(desk, request(old, 8, proof=proof))[0] == 422
    assert status_of(desk, request(5, 8, "other "))[0] == 422
    desk.add(request(5, 8))


def test_first_checkpoint_comes_without_a_proof(desk: WitnessDesk) -> None:
    assert status_of(desk, request(0, 5, proof=[bytes(32)]))[0] == 422
    empty = note_of(Checkpoint(ORIGIN, 0, bytes(32)), [log_line(LOG, ORIGIN, 0, bytes(32))])
    assert status_of(desk, request(0, 0, text=empty))[0] == 422


def test_unknown_log_and_unsigned_checkpoint_are_told_apart(desk: WitnessDesk) -> None:
    stranger = NodeSigner(b"s" * 32)
    assert status_of(desk, request(0, 5, text=note(5, origin="log.example/other")))[0] == 404
    assert status_of(desk, request(0, 5, text=note(5, signer=stranger)))[0] == 403
    broken = note(5).replace("\n5\n", "\n6\n")
    assert status_of(desk, request(0, 5, text=broken))[0] == 403


@pytest.mark.parametrize(
    "text",
    [
        "",
        "old 0",
        request(0, 5).replace("old 0", "old 00"),
        request(0, 5).replace("old 0", "old -1"),
        request(0, 5).replace("old 0", "old 0\nnot base64"),
        request(9, 5, proof=[]),
        request(0, 5, proof=[bytes(32)] * 64),
        request(0, 5).rstrip("\n"),
    ],
)
def test_request_of_another_form_is_bad(desk: WitnessDesk, text: str) -> None:
    assert status_of(desk, text)[0] == 400


def test_witness_remembers_before_it_answers_and_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    with WitnessMemory(folder) as memory:
        WitnessDesk(NAME, WITNESS, [LOG_KEY], memory).add(request(0, 5))
    with WitnessMemory(folder) as memory:
        desk = WitnessDesk(NAME, WITNESS, [LOG_KEY], memory)
        assert status_of(desk, request(0, 5, "other ")) == (409, "5\n")
        assert status_of(desk, request(5, 8, "other "))[0] == 422


def test_witness_that_cannot_remember_does_not_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with WitnessMemory(tmp_path) as memory:
        desk = WitnessDesk(NAME, WITNESS, [LOG_KEY], memory)

        def fail(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as full:
            full.setattr("os.fsync", fail)
            with pytest.raises(OSError, match="No space"):
                desk.add(request(0, 5))
        assert memory.newest(ORIGIN) == (0, b"")


def test_folder_is_one_process_s(tmp_path: Path) -> None:
    with WitnessMemory(tmp_path), pytest.raises(MemoryTaken):
        WitnessMemory(tmp_path).__enter__()
    with WitnessMemory(tmp_path):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b'{"o":{"size":-1,"root":""}}', b'{"o":{"size":3,"root":"short"}}'])
def test_memory_that_cannot_be_read_is_no_fresh_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "signed.json").write_bytes(content)
    with pytest.raises(Malformed, match="cannot be read"):
        WitnessMemory(tmp_path).__enter__()


def test_key_is_made_once_and_is_its_owner_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "witness.key"
    assert program.main(["key", "--name", NAME, "--out", str(path)]) == 0
    vkey = capsys.readouterr().out.strip()
    name, signer = program.read_key(path)
    assert vkey == VerifierKey(name, TYPE_COSIGNATURE, signer.public).text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert program.main(["key", "--name", NAME, "--out", str(path)]) == 1
    assert program.main(["key", "--name", "two words", "--out", str(tmp_path / "other")]) == 1


@asynccontextmanager
async def running_witness(site: Site, folder: Path, signer: NodeSigner = WITNESS) -> AsyncIterator[Witness]:
    """A witness of the site's log over HTTP, at a port of its own."""
    logs = parse_policy(site.node.policy_text).logs
    with WitnessMemory(folder) as memory:
        runner = web.AppRunner(make_app(WitnessDesk(NAME, signer, logs, memory)))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield Witness(f"http://{host}:{port}", VerifierKey(NAME, TYPE_COSIGNATURE, signer.public))
        await runner.cleanup()


def witnessed(policy: str, *keys: VerifierKey) -> str:
    """The policy of somebody who wants outside witnesses too."""
    lines = [f"witness w{place} {key.text()}" for place, key in enumerate(keys)]
    group = f"group witnessed any {' '.join(f'w{place}' for place in range(len(keys)))}"
    return policy.replace("quorum committed", "\n".join([*lines, group, "quorum committed"]))


async def test_push_brings_a_node_s_checkpoints_to_the_grade_witnessed(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site, running_witness(site, tmp_path / "memory") as one:
        await site.bind("m-1")
        out = tmp_path / "witnessed"
        policy = parse_policy(witnessed(site.node.policy_text, one.key))
        for member in ("m-2", "m-3"):
            await site.bind(member)
            pushed = await push(site.http, site.url, [one], out)
            assert (pushed.signed, pushed.failures) == ((NAME,), {})
            verified = verify_checkpoint(out.read_text(), policy)
            assert (verified.checkpoint.size, verified.grade) == (site.node.ledger.tip.size, Grade.WITNESSED)
        again = await push(site.http, site.url, [one], out)
        assert again.signed == (NAME,)


async def test_node_shows_what_outside_witnesses_signed(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site, running_witness(site, tmp_path / "memory") as one:
        await site.bind("m-1")
        policy = parse_policy(witnessed(site.node.policy_text, one.key))
        assert (await site.ask("GET", "/checkpoint/witnessed"))[0] == 404
        out = tmp_path / "data" / WITNESSED_FILE
        await push(site.http, site.url, [one], out)
        for path in ("/checkpoint", "/checkpoint/witnessed"):
            status, _, text = await site.ask("GET", path)
            assert (status, verify_checkpoint(text.decode(), policy).grade) == (200, Grade.WITNESSED)
        assert (await push(site.http, site.url, [one], out)).signed == (NAME,)
        size = verify_checkpoint(out.read_text(), policy).checkpoint.size
        await site.bind("m-2")
        newest = verify_checkpoint((await site.ask("GET", "/checkpoint"))[2].decode(), policy)
        assert (newest.checkpoint.size > size, newest.grade) == (True, Grade.SEALED)
        _, _, text = await site.ask("GET", "/checkpoint/witnessed")
        assert verify_checkpoint(text.decode(), policy).checkpoint.size == size


@pytest.mark.parametrize("content", ["", "nonsense\n", "linli.test/garden\n2\n" + "A" * 43 + "=\n\n\u2014 x AAAA\n"])
async def test_node_shows_no_lines_that_are_not_of_its_log(tmp_path: Path, content: str) -> None:
    async with running_site(tmp_path) as site:
        await site.bind("m-1")
        (tmp_path / "data" / WITNESSED_FILE).write_text(content)
        assert (await site.ask("GET", "/checkpoint/witnessed"))[0] == 404
        _, _, text = await site.ask("GET", "/checkpoint")
        assert "\u2014 x " not in text.decode()


async def test_push_keeps_what_others_signed_when_one_witness_is_away(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site, running_witness(site, tmp_path / "memory") as one:
        await site.bind("m-1")
        away = Witness(
            "http://127.0.0.1:1", VerifierKey("away.example", TYPE_COSIGNATURE, NodeSigner(b"a" * 32).public)
        )
        out = tmp_path / "witnessed"
        pushed = await push(site.http, site.url, [away, one], out)
        assert (pushed.signed, list(pushed.failures), pushed.contradicted) == ((NAME,), ["away.example"], False)
        assert verify_checkpoint(out.read_text(), parse_policy(site.node.policy_text)).checkpoint.size


async def test_push_takes_no_signature_of_another_key(tmp_path: Path) -> None:
    async with (
        running_site(tmp_path) as site,
        running_witness(site, tmp_path / "memory", NodeSigner(b"x" * 32)) as other,
    ):
        await site.bind("m-1")
        pushed = await push(site.http, site.url, [Witness(other.url, WITNESS_KEY)], tmp_path / "witnessed")
        assert pushed.signed == ()
        assert not (tmp_path / "witnessed").exists()


async def test_ledger_that_does_not_continue_what_a_witness_signed_is_a_contradiction(tmp_path: Path) -> None:
    async with running_site(tmp_path / "one") as one, running_site(tmp_path / "two") as other:
        logs = [*parse_policy(one.node.policy_text).logs, *parse_policy(other.node.policy_text).logs]
        assert len({log.name for log in logs}) == 1
        await one.bind("m-1")
        for member in ("m-2", "m-3"):
            await other.bind(member)
        with WitnessMemory(tmp_path / "memory") as memory:
            runner = web.AppRunner(make_app(WitnessDesk(NAME, WITNESS, logs, memory)))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            witness = Witness(f"http://{host}:{port}", WITNESS_KEY)
            assert (await push(one.http, one.url, [witness], tmp_path / "out")).signed == (NAME,)
            pushed = await push(other.http, other.url, [witness], tmp_path / "out")
            assert (pushed.signed, pushed.contradicted) == ((), True)
            await runner.cleanup()


async def test_push_says_when_a_node_tells_no_checkpoint(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site, aiohttp.ClientSession() as http:
        with pytest.raises(PushError, match="503"):
            await push(http, site.url, [], tmp_path / "out")


async def test_program_says_by_its_exit_code_what_came_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_site(tmp_path) as site, running_witness(site, tmp_path / "memory") as one:
        await site.bind("m-1")
        away = ["--witness", "http://127.0.0.1:1", WITNESS_KEY.text()]
        arguments = ["push", "--log", site.url, "--out", str(tmp_path / "out")]
        right = ["--witness", one.url, one.key.text()]
        assert await asyncio.to_thread(program.main, [*arguments, *right]) == 0
        assert f"{NAME} signed" in capsys.readouterr().out
        assert await asyncio.to_thread(program.main, [*arguments, *away]) == 1


async def test_verifier_tells_witnessed_from_sealed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_site(tmp_path) as site, running_witness(site, tmp_path / "memory") as one:
        person = await site.bind("m-1")
        await push(site.http, site.url, [one], tmp_path / "witnessed")
        entry = await site.node.ledger.entry(0)
        assert entry is not None
        _, _, receipt = await site.ask("GET", f"/api/v1/records/{entry.record}/receipt")
        head, _, sealed_note = receipt.decode().partition("\n\n")
        assert sealed_note.splitlines()[1] == (tmp_path / "witnessed").read_text().splitlines()[1]
        (tmp_path / "receipt").write_text(f"{head}\n\n{(tmp_path / 'witnessed').read_text()}")
        for policy, grade, code in (
            ("w", "witnessed", 0),
            ("w", "sealed", 0),
            ("p", "sealed", 0),
            ("p", "witnessed", 1),
        ):
            text = site.node.policy_text if policy == "p" else witnessed(site.node.policy_text, one.key)
            (tmp_path / "policy").write_text(text)
            options = ["--policy", str(tmp_path / "policy"), "--require", grade, "--only", "quorum,grade"]
            assert verify.main(["receipt", str(tmp_path / "receipt"), *options]) == code, capsys.readouterr().out
        assert person.member == "m-1"
