"""Releases lock-outs, so that the next poll logs in at once."""

from __future__ import annotations

from energyrecorder_execd.fleet import Fleet
from energyrecorder_execd.lockout import LockoutState, Pair
from energyrecorder_execd.lockout_file import LockoutFile


def unlock(file: LockoutFile, fleet: Fleet | None, *, credentials: str | None = None) -> list[Pair]:
    """Forget refused log-ins and return the pairs that were released; a running ``run`` sees it at once.

    Args:
        file: Where they are counted.
        fleet: Servers whose BMCs are released; None means all that are counted.
        credentials: Only what was refused to this table of the fleet file; None means any.
    """
    with file.change() as state:
        released = [pair for pair in state.refusals if _is_meant(pair, file, fleet, credentials)]
        _release(state, released)
    return released


def _is_meant(pair: Pair, file: LockoutFile, fleet: Fleet | None, credentials: str | None) -> bool:
    if fleet is None:
        return True
    if credentials is None:
        return any(server.bmc == pair.bmc for server in fleet.servers)
    return any(
        server.credentials == credentials and file.credential(server.target) == pair.credential
        for server in fleet.servers
    )


def _release(state: LockoutState, pairs: list[Pair]) -> None:
    for pair in pairs:
        del state.refusals[pair]
