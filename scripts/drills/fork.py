"""A fork, and the way out of it: a copied machine makes two histories, the operators keep one of them (docs/forks.md).

The copy is started while the network is broken in two, so that nobody hears both. Each half orders records; when the
halves meet the honest nodes stop. Then the ceremony is done with the operators' own tool, and everything that it
promises is looked at: by the nodes' answers, by the independent verifier, and on disk.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

import keys
import members
import resolutions
from cluster import NodePlace
from drills.copies import NOWHERE, copy_of, find_stopped, is_fork, proxy_of
from drills.fault_proxy import REFUSED
from drills.fragile_cluster import FragileCluster
from drills.rehearsal import COPY, Rehearsal
from export import export
from replay import replay_data
from server.record.signature import DeviceSigner, NodeSigner
from verifier.ledger import CHECKS as LOG_CHECKS

ROOT = Path(__file__).resolve().parents[2]
EACH = 3
"""Records that each half orders."""
STOPPED_S = 30.0
LOG_ONLY = ",".join(sorted(set(LOG_CHECKS) - {"tallies"}))


@dataclass(slots=True)
class Histories:
    """Mutable. What people were told: before the fork, and by each half."""

    before: dict[str, Any]
    kept: list[dict[str, Any]] = field(default_factory=list)
    abandoned: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is who: `kept` and `lost` are honest, `culprit` is the member whose machine was copied."""

    kept: NodePlace
    culprit: NodePlace
    lost: NodePlace


async def fork(stage: Rehearsal) -> None:
    """Two histories, and the ceremony that leaves one; the culprit is left out."""
    cast, draft, told = await _agree_on_fork(stage, is_forgiven=False)
    await _go_on(stage, draft, cast.kept, cast.lost)
    await _look(stage, cast, told)
    await _refuse_old_keys(stage, cast)
    await _replay(stage, cast)


async def fork_and_forgive(stage: Rehearsal) -> None:
    """The same, but the culprit's organisation comes back at once, with new keys."""
    cast, draft, told = await _agree_on_fork(stage, is_forgiven=True)
    await _go_on(stage, draft, cast.kept, cast.culprit, cast.lost)
    await _look(stage, cast, told)
    await stage.sign(cast.culprit)
    if not await stage.wait_until(lambda: _all_signed(stage)):
        stage.faults.append(f"{cast.culprit.id} signs nothing, although its new keys are a member's")
    await _replay(stage, cast)


async def _agree_on_fork(stage: Rehearsal, *, is_forgiven: bool) -> tuple[Cast, resolutions.Draft, Histories]:
    cast = Cast(*stage.cluster.nodes)
    stage.step("一切正常：三个节点都就绪", "All is well: every node is ready")
    told = Histories(await stage.sign(cast.kept))
    await stage.wait_sealed()
    async with copy_of(stage, cast.culprit) as (copies, copy):
        await _part(stage, cast, copies, copy, told)
        await _meet(stage, cast, copies, copy)
        await asyncio.to_thread(copies.stop_all)
    await asyncio.to_thread(stage.cluster.stop, cast.culprit)
    return cast, await _agree(stage, cast, is_forgiven=is_forgiven), told


async def _part(stage: Rehearsal, cast: Cast, copies: FragileCluster, copy: NodePlace, told: Histories) -> None:
    one, other, original = cast.kept, cast.lost, cast.culprit
    stage.step(
        f"网络断成两半，{original.id} 的副本在另一半启动：谁也听不到两个",
        f"The network breaks in two, and a copy of {original.id} is started in the other half: nobody hears both",
    )
    proxy = proxy_of(stage)
    proxy.set(one.id, other.id, REFUSED)
    proxy.set(other.id, one.id, REFUSED)
    proxy.redirect(original.id, other.id, *NOWHERE)
    proxy.redirect(COPY, one.id, *NOWHERE)
    proxy.redirect(other.id, original.id, "127.0.0.1", copy.peer_port)
    copies.start(copy)
    await stage.await_start(copies, copy, "/healthz")
    for _ in range(EACH):
        told.kept.append(await stage.sign(one))
        told.abandoned.append(await stage.sign(other))
    if is_fork(stage, told.kept[0], told.abandoned[0]):
        stage.say("两边各自记账，回执都能核验", "Both halves keep a log, and both give receipts that verify")
    else:
        stage.faults.append("the drill made no fork")


async def _meet(stage: Rehearsal, cast: Cast, copies: FragileCluster, copy: NodePlace) -> None:
    stage.step("网络恢复，两半重新见面", "The network is mended; the halves meet again")
    proxy, one, other, original = proxy_of(stage), cast.kept, cast.lost, cast.culprit
    for sender, receiver in ((other, original), (original, other)):
        proxy.redirect(sender.id, receiver.id, "127.0.0.1", receiver.peer_port)
    proxy.redirect(COPY, one.id, "127.0.0.1", one.peer_port)
    proxy.clear()

    async def is_known() -> bool:
        stopped = await find_stopped(stage, copy)
        shown = [(await stage.ask(node, "/api/v1/evidence"))[1].get("evidence") for node in (one, other)]
        return {one.id, other.id} <= set(stopped) and any(shown)

    if not await stage.wait_until(is_known, STOPPED_S):
        stage.faults.append("the honest nodes do not stop with evidence")
    await stage.show(copy)
    stage.say("两个诚实节点都停下，只供读取，并举出证据", "Both honest nodes have stopped, and show evidence")


async def _agree(stage: Rehearsal, cast: Cast, *, is_forgiven: bool) -> resolutions.Draft:
    stage.step(
        f"操作员商定：保留 {cast.kept.id} 的账，{cast.lost.id} 换新密钥，{cast.culprit.id} 先移出",
        f"The operators agree: the branch of {cast.kept.id} is kept, {cast.lost.id} takes new keys, "
        f"{cast.culprit.id} is left out",
    )
    officer = _officer(cast.kept)
    sides = ({cast.kept.id: cast.kept.url}, {cast.lost.id: cast.lost.url})
    try:
        await members.resolve(*sides, [], officer)
        stage.faults.append("an honest member was let come back with the keys that signed the abandoned branch")
    except resolutions.Refused as error:
        stage.print(f"   {error}")
    back = [cast.lost, cast.culprit] if is_forgiven else [cast.lost]
    for node in back:
        await asyncio.to_thread(keys.renew_keys, node.folder)
    draft = await members.resolve(*sides, [node.folder / "next" / "public.json" for node in back], officer)
    for node in (cast.kept, cast.lost):
        draft, _ = resolutions.sign_draft(draft, _operator(node))
    try:
        resolutions.sign_draft(draft, _operator(cast.culprit))
        stage.faults.append("the culprit's operator was let sign")
    except resolutions.Refused as error:
        stage.print(f"   {error}")
    for line in resolutions.in_words(draft):
        stage.print(f"   {line}")
    return draft


async def _cut_off(stage: Rehearsal, node: NodePlace) -> None:
    """Kill -9 while the node leaves its branch; whatever it had done by then, the next start goes on with it."""
    stage.cluster.start(node)
    archive = node.folder / "data" / "abandoned" / "1"

    async def has_begun() -> bool:
        return archive.exists()

    if not await stage.wait_until(has_begun):
        stage.faults.append(f"{node.id} does not archive its branch")
    await asyncio.to_thread(stage.cluster.kill, node)
    stage.print(f"   {node.id} was killed as soon as its archive lay there, and is started again")


async def _go_on(stage: Rehearsal, draft: resolutions.Draft, *nodes: NodePlace) -> None:
    stage.step("把文件交给每个节点，重新启动", "The document is given to each node, which is started again")
    for node in nodes:
        await asyncio.to_thread(stage.cluster.stop, node)
        resolutions.give(draft, node.folder / "data")
    await _cut_off(stage, nodes[-1])
    for node in nodes:
        stage.cluster.start(node)

    async def are_ready() -> bool:
        return all([(await stage.ask(node, "/readyz"))[0] == 200 for node in nodes])

    if not await stage.wait_until(are_ready):
        stage.faults.append("the nodes do not order again")
    await stage.show()


async def _look(stage: Rehearsal, cast: Cast, told: Histories) -> None:
    stage.step("检查：新记录，被放弃的记录，旧回执", "A look at new records, abandoned ones, and old receipts")
    new = await stage.sign(cast.lost)
    if not await stage.wait_until(lambda: _is_brought_again(stage, cast, told)):
        stage.faults.append("records of the abandoned branch are not in the log")
    await _check_once(stage, cast, told)
    folder = stage.cluster.data
    links = (await stage.ask(cast.kept, "/succession.json"))[1]
    (folder / "succession.json").write_text(json.dumps(links), "utf-8")
    fresh = (await stage.ask(cast.lost, f"/api/v1/records/{told.abandoned[0]['id']}"))[1]
    for name, answer, is_good in (
        ("before the fork", told.before, True),
        ("of the kept branch", told.kept[-1], True),
        ("new", new, True),
        ("given anew for an abandoned record", fresh, True),
        ("of the abandoned branch", told.abandoned[-1], False),
    ):
        await _check_receipt(stage, name, str(answer.get("receipt")), is_good=is_good)
    await _ask_phone(stage, folder, [told.before, told.kept[-1], new, fresh], told.abandoned)
    await export(cast.kept.url, folder / "export", _officer(cast.kept))
    for place in (folder / "export", cast.lost.folder / "data" / "abandoned" / "1"):
        done = await asyncio.to_thread(verify, folder, "log", str(place), "--only", LOG_ONLY)
        if done.returncode:
            stage.faults.append(f"the log in {place} does not verify: {done.stdout}{done.stderr}")
    stage.say("账和存档的分支都能独立核验", "The log verifies, and so does the archive of the abandoned branch")


async def _is_brought_again(stage: Rehearsal, cast: Cast, told: Histories) -> bool:
    states = [
        (await stage.ask(node, f"/api/v1/records/{one['id']}"))[1].get("state")
        for node in (cast.kept, cast.lost)
        for one in told.abandoned
    ]
    return set(states) == {"ordered"}


async def _check_once(stage: Rehearsal, cast: Cast, told: Histories) -> None:
    """Every record that anybody was told about stands in the log of both nodes, once."""
    wanted = {str(one["id"]) for one in (told.before, *told.kept, *told.abandoned)}
    for node in (cast.kept, cast.lost):
        history = await _history(node)
        ids = resolutions.record_ids(history.entries)
        if any(ids.count(id_) != 1 for id_ in wanted):
            stage.faults.append(f"{node.id} does not hold every record once")


async def _history(node: NodePlace) -> resolutions.History:
    async with aiohttp.ClientSession() as http:
        return await resolutions.read_history(http, node.id, node.url, _officer(node))


async def _check_receipt(stage: Rehearsal, name: str, receipt: str, *, is_good: bool) -> None:
    folder = stage.cluster.data
    (folder / "receipt.txt").write_text(receipt, "utf-8")
    words = ["--policy", "policy.txt", "--genesis", "genesis.json", "--members", "succession.json"]
    done = await asyncio.to_thread(verify, folder, "receipt", "receipt.txt", *words, "--require", "committed")
    said = done.stdout + done.stderr
    if (done.returncode == 0) != is_good or (not is_good and "abandoned" not in said):
        stage.faults.append(f"the receipt {name} is told as: {said}")
    else:
        stage.print(f"   receipt {name}: {'verifies from genesis' if is_good else said.strip().splitlines()[-1]}")


async def _ask_phone(
    stage: Rehearsal, folder: Path, good: list[dict[str, Any]], abandoned: list[dict[str, Any]]
) -> None:
    """The same receipts by the program of the phone, where Node.js and its libraries are there."""
    node = shutil.which("node")
    if node is None or not (ROOT / "miniapp" / "node_modules").exists():
        stage.print("   the phone's own verifier: NOT CHECKED, for node or miniapp/node_modules are not here")
        return
    paths = []
    for number, answer in enumerate([*good, *abandoned]):
        paths.append(folder / f"receipt-{number}.txt")
        paths[-1].write_text(str(answer["receipt"]), "utf-8")
    words = [node, "tests/verify-receipts.mjs", str(folder / "genesis.json"), str(folder / "succession.json")]
    done = await asyncio.to_thread(
        subprocess.run, [*words, *map(str, paths)], cwd=ROOT / "miniapp", capture_output=True, text=True, check=False
    )
    told = json.loads(done.stdout) if done.returncode == 0 else []
    is_good = [one.get("grade") in ("committed", "sealed") and not one["abandoned"] for one in told]
    is_lost = [bool(one["abandoned"]) for one in told]
    if is_good[: len(good)] != [True] * len(good) or is_lost[len(good) :] != [True] * len(abandoned):
        stage.faults.append(f"the phone's verifier says: {done.stdout}{done.stderr}")
    else:
        stage.print(f"   the phone's own verifier says the same of all {len(told)} receipts")


def verify(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """scripts/verify.py to its end."""
    command = [sys.executable, str(ROOT / "scripts" / "verify.py"), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


async def _refuse_old_keys(stage: Rehearsal, cast: Cast) -> None:
    """The culprit's program as it was, with its old keys: nothing that it signs counts."""
    node = cast.culprit
    stage.step(f"{node.id} 用旧密钥启动", f"{node.id} is started with its old keys")
    stage.cluster.start(node)
    await stage.await_start(stage.cluster, node, "/healthz", more_s=3.0)
    before = (await stage.ask(cast.kept, "/api/v1/members"))[1]
    if [one["id"] for one in before["members"]] != [cast.kept.id, cast.lost.id]:
        stage.faults.append("the members are not those of the resolution")
    if (await stage.ask(node, "/readyz"))[0] == 200:
        stage.faults.append(f"{node.id} says that it is ready, although its keys are no member's")
    await stage.sign(cast.kept)
    await asyncio.to_thread(stage.cluster.stop, node)


async def _all_signed(stage: Rehearsal) -> bool:
    """Whether every member has signed the end of every node's log."""
    states = [(await stage.ask(node, "/api/v1/cluster"))[1] for node in stage.cluster.nodes]
    lags = [one["lag"] for state in states for one in state.get("nodes", ())]
    return len({state.get("size", 0) for state in states}) == 1 and lags == [0] * len(states) ** 2


async def _replay(stage: Rehearsal, cast: Cast) -> None:
    """The whole log executed anew from genesis, from the files of a node that stopped."""
    await asyncio.to_thread(stage.cluster.stop, cast.lost)
    replayed = await asyncio.to_thread(replay_data, cast.lost.folder / "data", stage.cluster.data / "genesis.json")
    if replayed.standing is None or replayed.standing.number != 1:
        stage.faults.append("executed anew the log does not come to the epoch after the fork")
    else:
        stage.print(f"   executed anew from genesis: block {replayed.end.height}, the same in every byte")


def _officer(node: NodePlace) -> DeviceSigner:
    [path] = sorted(node.folder.glob("officer-*.pem"))[:1]
    return DeviceSigner.from_pem(path.read_bytes())


def _operator(node: NodePlace) -> NodeSigner:
    return NodeSigner(keys.read_secret(node.folder / "operator.key"))
