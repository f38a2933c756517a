"""The rows that exist before the first block: each organisation's officers and their devices."""

from __future__ import annotations

from server.domain.member import Device, Member
from server.ledger.genesis import Genesis
from server.record.kind import Role, Trust
from server.record.rows import Row


def genesis_rows(genesis: Genesis) -> list[Row]:
    """Officers' members and devices, sorted by table and id (decisions 13)."""
    roles: dict[str, set[str]] = {}
    devices: dict[str, Device] = {}
    everyone = tuple(member.id for member in genesis.members)
    for organisation in genesis.members:
        for officer in organisation.officers:
            roles.setdefault(officer.member, set()).add(f"{Role.OFFICER.value}@{organisation.id}")
            kid, created = officer.device_key.thumbprint(), genesis.created_ms
            public = officer.device_key
            devices[kid] = Device(kid, officer.member, public.x, public.y, "genesis", everyone, created, created)
    rows: list[Row] = list(devices.values())
    for member, held in roles.items():
        kids = tuple(sorted(kid for kid, device in devices.items() if device.member == member))
        rows.append(Member(member, tuple(sorted(held)), kids))
    return sorted(rows, key=lambda row: (row.table, row.id))


def trust_of(genesis: Genesis, cluster_id: bytes) -> Trust:
    """What rules need to know of genesis."""
    policy = genesis.policy
    attest_keys = {member.id: genesis.key(member.id, "attest") for member in genesis.members}
    return Trust(cluster_id, attest_keys, policy.attestations, policy.approvals, policy.new_key_vote_delay_ms)
