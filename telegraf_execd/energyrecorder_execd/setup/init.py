"""Makes a first fleet file of the BMCs that answer at some addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from energyrecorder_execd.fleet.hosts import Host
from energyrecorder_execd.fleet.render import Entry, fleet_file, server_id
from energyrecorder_execd.setup.identify import Identity, identify

AT_A_TIME = 32
ENV = "pod1"
"""Environment of a first fleet: that of the examples in docs/, whose first step finds its servers so."""


def look_around(hosts: Sequence[Host]) -> list[Identity]:
    """Return what listens at each host; nothing is sent that a log-in would need."""

    async def all_of_them() -> list[Identity]:
        free = asyncio.Semaphore(AT_A_TIME)

        async def one(host: Host) -> Identity:
            async with free:
                return await identify(host)

        return list(await asyncio.gather(*(one(host) for host in hosts)))

    return asyncio.run(all_of_them())


def first_fleet(
    names: Sequence[str], found: Sequence[Identity], *, user: str, variable: str
) -> tuple[str, int]:
    """Return a fleet file for what was found, and how many servers stand in it (pure).

    Args:
        names: Hosts as a person wrote them.
        found: What listens at each.
        user: Account on the BMCs.
        variable: Environment variable of the password.
    """
    notes = [
        "Made by energy-execd init. Certificates stand here as they were seen: compare them with the BMCs.",
    ]
    entries, taken = [], set[str]()
    for name, identity in zip(names, found, strict=True):
        if not identity.protocol:
            why = identity.problem or "neither Redfish, iLO REST nor IPMI answered"
            notes.append(f"{name}: left out: {why}")
            continue
        plain = name.partition("://")[2] or name
        own = unique = server_id(plain.split(":")[0] if plain.count(":") == 1 else plain) or "bmc"
        number = 1
        while unique in taken:
            number += 1
            unique = f"{own[:60]}-{number}"
        taken.add(unique)
        entries.append(_entry(unique, name, identity))
    text = fleet_file(
        entries,
        notes=notes,
        defaults={"env": ENV, "credentials": "lab", "interval": "auto"},
        accounts={"lab": (user, variable)},
    )
    return text, len(entries)


def _entry(own: str, name: str, identity: Identity) -> Entry:
    notes = [identity.product] if identity.product else []
    values: dict[str, str | bool] = {"id": own, "host": name, "protocol": identity.protocol}
    shown = identity.certificate
    if shown is not None and shown.old_tls:
        values["legacy_tls"] = True
        notes.append("it speaks old TLS only")
    if shown is not None and not identity.trusted:
        values["tls"] = f"pin:sha256:{shown.sha256}"
        notes.append(f"certificate: {shown.subject}, expires {shown.expires}")
    return Entry(values, notes)
