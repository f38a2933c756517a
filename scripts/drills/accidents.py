"""The accidents that operators rehearse: what each looks like on the screen, what it means, and what to do.

down        one node ends without a word; the others go on, and it catches up
partition   one node is cut off; the others go on, it says why it cannot, and it catches up
clone       a second living copy of a node: the accident that can show two histories to two people
restore     a node gets back the data of an earlier day
fork        two histories, and the ceremony that leaves one of them (docs/forks.md)
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from cluster import NodePlace
from drills.copies import NOWHERE, copy_of, find_stopped, is_fork, proxy_of
from drills.fault_proxy import REFUSED
from drills.fork import fork
from drills.fragile_cluster import FragileCluster
from drills.rehearsal import COPY, Rehearsal, rehearsal

NOTICED_S = 15.0
"""By then a second copy, or two histories, should have been noticed."""
TO_BE_NOTICED_S = 3.0
"""Both live so long before anything is ordered: time to be noticed."""
RECORDS = 12
"""Ordered between a backup and its return."""


async def rehearse(
    accident: str, folder: Path, given: Path | None, tell: Callable[[str], None], *, is_distant: bool = False
) -> list[str]:
    """Make an accident in `folder` and show it; what was not as the design promises."""
    async with rehearsal(folder, given, tell, is_distant=is_distant) as stage:
        await ACCIDENTS[accident](stage)
        for fault in stage.faults:
            tell(f"FAULT: {fault}")
        return stage.faults


async def _begin(stage: Rehearsal) -> None:
    stage.step("一切正常：三个节点都就绪", "All is well: every node is ready")
    await stage.sign(stage.cluster.nodes[0])
    await stage.wait_sealed()
    await stage.show()


async def _conclude(stage: Rehearsal) -> None:
    await stage.sign(stage.cluster.nodes[-1])
    if await stage.wait_sealed():
        stage.say("所有节点的账相同，全部签字封存", "All nodes hold the same log, signed by all")
    await stage.show()


async def down(stage: Rehearsal) -> None:
    """The leading node is killed."""
    await _begin(stage)
    victim, *others = stage.cluster.nodes
    stage.step(f"{victim.id} 断电（kill -9）", f"{victim.id} loses its power (kill -9)")
    await asyncio.to_thread(stage.cluster.kill, victim)
    for node in others:
        await stage.sign(node)
    await stage.show()
    stage.say(
        "业务继续；“已封存”停住，因为少一家签字。表决结果此时不会显示为最终结果",
        "Service goes on; sealed stands still, because one signature is missing: no result is shown as final now",
    )
    stage.say(
        f"怎么办：查明 {victim.id} 为何停机，然后照常启动程序；不要恢复任何备份",
        f"What to do: find out why {victim.id} ended, then start its program as always; restore no backup",
    )
    stage.step(f"启动 {victim.id}", f"{victim.id} is started again")
    if not await stage.start(victim):
        stage.faults.append(f"{victim.id} does not start again")
    await _conclude(stage)


async def partition(stage: Rehearsal) -> None:
    """One node's line is cut; it lives, and cannot know that the others do."""
    await _begin(stage)
    one, other, victim = stage.cluster.nodes[0], stage.cluster.nodes[1], stage.cluster.nodes[-1]
    stage.step(f"{victim.id} 的网线断了", f"The line of {victim.id} is cut")
    stage.lines.cut(victim.id)
    for node in (one, other):
        await stage.sign(node)
    await stage.wait_until(lambda: _is_missed(stage, one, victim), NOTICED_S)
    kept = await stage.sign(victim, is_expected=False)
    await stage.show()
    stage.say(
        f"{victim.id} 自己说明连不上几家；交给它的记录先留着，手机会自动换一家提交",
        f"{victim.id} says how many it reaches; it keeps the record that it was handed, and phones go on elsewhere",
    )
    stage.say(
        "怎么办：修网络。不要重启，更不要另起一个副本", "What to do: mend the network; restart nothing, copy nothing"
    )
    stage.step("网络恢复", "The line is mended")
    stage.lines.mend()

    async def is_ordered() -> bool:
        _, found = await stage.ask(victim, f"/api/v1/records/{kept['id']}")
        return found.get("state") == "ordered"

    if await stage.wait_until(is_ordered):
        stage.say("断网时交给它的记录现在也记入了账", "The record that it was handed meanwhile is in the log now")
    else:
        stage.faults.append(f"the record that {victim.id} was handed while it was cut off was not ordered")
    await _conclude(stage)


async def _is_missed(stage: Rehearsal, by: NodePlace, missed: NodePlace) -> bool:
    _, state = await stage.ask(by, "/api/v1/cluster")
    return any(one["id"] == missed.id and not one["reachable"] for one in state.get("nodes", ()))


async def clone(stage: Rehearsal) -> None:
    """A snapshot of a node's machine is started beside it; then some peers reach the one, some the other."""
    await _begin(stage)
    cluster = stage.cluster
    one, original, other = cluster.nodes[0], cluster.nodes[1], cluster.nodes[-1]
    stage.step(
        f"{original.id} 的机器被做了快照，副本在另一台机器上启动，两个都活着",
        f"The machine of {original.id} was copied, and the copy is started elsewhere: both live",
    )
    async with copy_of(stage, original) as (copies, copy):
        copies.start(copy)
        is_alive = await stage.await_start(copies, copy, "/healthz", more_s=TO_BE_NOTICED_S)
        await stage.show(copy)
        if not is_alive:
            stage.say("程序拒绝第二个副本启动", "The program refuses to run a second time")
        elif await find_stopped(stage, copy):
            stage.say("节点发现了第二个副本，并停止签字", "A node noticed the second copy, and signs nothing more")
        else:
            stage.say("到此为止没有谁发现有两个副本", "So far nobody has noticed that there are two")
            await _fail_over(stage, copies, (one, original, copy, other))
        await asyncio.to_thread(copies.stop_all)
    stage.say(
        f"怎么办：立即关掉副本和 {original.id}，查清哪一个是原机；绝不能让同一份密钥在两处运行",
        f"What to do: end the copy and {original.id} at once, and find out which is the original; one key, one machine",
    )


async def _fail_over(
    stage: Rehearsal, copies: FragileCluster, nodes: tuple[NodePlace, NodePlace, NodePlace, NodePlace]
) -> None:
    """The network fails too: one peer reaches the original, the other the copy, and the peers not each other."""
    one, original, copy, other = nodes
    proxy = proxy_of(stage)
    stage.step(
        f"网络又断成两半：{one.id} 连着原机，{other.id} 连着副本",
        f"The network breaks in two as well: {one.id} reaches the original, {other.id} the copy",
    )
    proxy.set(one.id, other.id, REFUSED)
    proxy.set(other.id, one.id, REFUSED)
    proxy.redirect(original.id, other.id, *NOWHERE)
    proxy.redirect(COPY, one.id, *NOWHERE)
    proxy.redirect(other.id, original.id, "127.0.0.1", copy.peer_port)
    mine, theirs = await stage.sign(one, is_expected=False), await stage.sign(other, is_expected=False)
    await stage.show(copy)
    if is_fork(stage, mine, theirs):
        stage.say(
            f"两个人拿到了两张都能核验的“已记入”回执，却都是第 {mine['index']} 条：账出现了两种历史",
            f"Two people hold receipts that verify as committed, and both are entry {mine['index']}: two histories",
        )
        stage.say("“已封存”没有被骗：它要三家签同一本账", "Sealed was not deceived: it takes all three under one log")
    else:
        stage.say("没有出现两种历史", "There are not two histories")
    stage.step("网络恢复，两半重新见面", "The network is mended; the halves meet again")
    for sender, receiver in ((other, original), (original, other)):
        proxy.redirect(sender.id, receiver.id, "127.0.0.1", receiver.peer_port)
    proxy.redirect(COPY, one.id, "127.0.0.1", one.peer_port)
    proxy.clear()

    async def is_noticed_by_all() -> bool:
        return len(await find_stopped(stage, copy)) >= len(stage.cluster.nodes)

    await stage.wait_until(is_noticed_by_all, NOTICED_S)
    await stage.show(copy)
    stopped = ", ".join(await find_stopped(stage, copy))
    if stopped:
        stage.say(
            f"{stopped} 发现了，停止签字，只供读取，等操作员处理",
            f"noticed by {stopped}: they are read-only and wait for their operators",
        )
    elif is_fork(stage, mine, theirs):
        stage.faults.append("there are two histories, and no node says so")


async def restore(stage: Rehearsal) -> None:
    """A node's disk is lost; yesterday's backup is put back in three ways."""
    await _begin(stage)
    cluster = stage.cluster
    victim = cluster.nodes[1]
    data, backup, lost = victim.folder / "data", cluster.data / "backup", cluster.data / "lost"
    stage.step(f"昨天：给 {victim.id} 的数据文件夹做了备份", f"Yesterday: a backup was made of the data of {victim.id}")
    await asyncio.to_thread(cluster.stop, victim)
    shutil.copytree(data, backup)
    await stage.start(victim)
    for number in range(RECORDS):
        await stage.sign(cluster.nodes[2 * (number % 2)]) if number in (0, RECORDS - 1) else await _sign_silently(stage)
    await stage.wait_sealed()
    stage.step(
        "今天：磁盘坏了。放回按规定做的备份（不含 journal 与 signer）",
        "Today: the disk is broken. A backup as the runbook has it is put back, without journal and signer",
    )
    await asyncio.to_thread(cluster.stop, victim)
    data.rename(lost)
    shutil.copytree(backup, data, ignore=shutil.ignore_patterns("journal", "signer"))
    if await stage.start(victim):
        stage.faults.append(f"{victim.id} votes although it does not know what it voted")
        await asyncio.to_thread(cluster.stop, victim)
    await _start_empty(stage, victim, data)
    await _start_whole_backup(stage, victim, data, backup)


async def _sign_silently(stage: Rehearsal) -> None:
    quiet = Rehearsal(stage.cluster, stage.lines, stage.http, lambda line: None)
    await quiet.sign(stage.cluster.nodes[0])
    stage.faults += quiet.faults


async def _start_empty(stage: Rehearsal, victim: NodePlace, data: Path) -> None:
    stage.step("改用空的数据文件夹", "An empty data folder instead")
    shutil.rmtree(data)
    if await stage.start(victim):
        stage.faults.append(f"{victim.id} votes although it does not know what it voted")
        return
    stage.say(
        "怎么办：先确认其他节点此后又记入了新块，再删掉 voted 标记，启动；账从其他节点取回",
        "What to do: see that the others have ordered blocks since, remove the mark `voted`, start; the log is fetched",
    )
    await stage.sign(stage.cluster.nodes[0])
    (victim.folder / "voted").unlink()
    if not await stage.start(victim):
        stage.faults.append(f"{victim.id} does not start with an empty folder, as it said it would")
    await _conclude(stage)


async def _start_whole_backup(stage: Rehearsal, victim: NodePlace, data: Path, backup: Path) -> None:
    stage.step(
        "错误的做法：把昨天的整个文件夹放回，连 journal 和 signer 一起",
        "The wrong way: the whole folder of yesterday is put back, journal and signer and all",
    )
    await asyncio.to_thread(stage.cluster.stop, victim)
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    if not await stage.start(victim):
        stage.say("程序拒绝：它可能已经签过它不再知道的内容", "It refuses: it may have signed what it no longer knows")
        return
    await _conclude(stage)
    stage.say(
        "它启动了，先听其他节点说它签过什么，取回账之后才签字。要是其他节点都连不上，就没有谁能告诉它。不要这样恢复",
        "It started, listened to what its peers hold of its signatures, and signed after it had caught up. With no "
        "peer in reach nobody could have told it. Do not restore like this",
    )


Accident = Callable[[Rehearsal], Awaitable[None]]
ACCIDENTS: Mapping[str, Accident] = {
    "down": down,
    "partition": partition,
    "clone": clone,
    "restore": restore,
    "fork": fork,
}
"""By the name of the drill."""
