"""The rows that exist before the first block: the members, and each organisation's officers and their devices."""

from __future__ import annotations

from server.domain.member import Device, Member
from server.domain.membership import founding_rows, trust_of_epoch
from server.ledger.genesis import Genesis
from server.ledger.membership import founding_epoch
from server.record.kind import Role, Trust
from server.record.rows import Row


def genesis_rows(genesis: Genesis) -> list[Row]:
    """Epoch 0, and officers' members and devices (decisions 13), sorted by table and id."""
    roles: dict[str, set[str]] = {}
    devices: dict[str, Device] = {}
    everyone = tuple(member.id for member in genesis.members)
    for organisation in genesis.members:
        for officer in organisation.officers:
            roles.setdefault(officer.member, set()).add(f"{Role.OFFICER.value}@{organisation.id}")
            kid, created = officer.device_key.thumbprint(), genesis.created_ms
            public = officer.device_key
            devices[kid] = Device(kid, officer.member, public.x, public.y, "genesis", everyone, created, created)
    rows: list[Row] = [*founding_rows(genesis), *devices.values()]
    for member, held in roles.items():
        kids = tuple(sorted(kid for kid, device in devices.items() if device.member == member))
        rows.append(Member(member, tuple(sorted(held)), kids))
    return sorted(rows, key=lambda row: (row.table, row.id))


def trust_of(genesis: Genesis, cluster_id: bytes) -> Trust:
    """What rules need to know of genesis."""
    return trust_of_epoch(founding_epoch(genesis), cluster_id)
