"""The lock-out guard's state on disk, shared by all collectors of one state directory."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from energyrecorder.errors import ConfigError
from energyrecorder.state_dir import open_private
from energyrecorder_execd.files import write_private
from energyrecorder_execd.lockout import Claim, LockoutState, Pair, Refusals
from energyrecorder_execd.readers.base import Target
from energyrecorder_execd.state import read_json

logger = logging.getLogger(__name__)

_SALT_BYTES = 16
# 24 bits of a salted digest: enough to see that a password changed, too few to find it with a list of words.
_FINGERPRINT_BYTES = 3


class LockoutFile:
    """``lockouts.json``: read again when another process changed it, changed under a lock.

    Args:
        folder: Where it is kept; must exist.

    Raises:
        ConfigError: The file is there and cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lockouts.json"
        self._path_text = str(self._path)
        self._lock_path = folder / "lockouts.lock"
        self._seen: tuple[int, int] | None = None
        self._state = LockoutState()
        self._salt = b""
        self._complained = False
        self._read()
        with self.change() as state:
            _drop_claims_of_the_dead(state)

    def credential(self, target: Target) -> str:
        """Return what identifies the target's credential: changes with the password, does not tell it."""
        kg = target.options.get("kg")
        text = "\0".join((target.user, target.password.reveal(), kg.reveal() if kg else ""))
        digest = hashlib.blake2b(
            text.encode("utf-8", "surrogateescape"), key=self._salt, digest_size=_FINGERPRINT_BYTES
        )
        return f"{target.user}:{digest.hexdigest()}"

    def current(self) -> LockoutState:
        """Return the state to look at; use `change` to change it."""
        self._refresh()
        return self._state

    @property
    def known(self) -> LockoutState:
        """The state as last looked at: enough for what this process claimed itself, and free of any cost."""
        return self._state

    @contextlib.contextmanager
    def change(self) -> Iterator[LockoutState]:
        """Give the newest state to be changed, with all other processes kept out; write it at the end.

        When the disk does not take it, that is logged once and the state lives on in this process.
        """
        with contextlib.ExitStack() as locked:
            try:
                lock = locked.enter_context(os.fdopen(open_private(self._lock_path, os.O_RDONLY)))
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:
                self._complain(error)
            self._refresh()
            before = _as_json(self._state)
            yield self._state
            after = _as_json(self._state)
            if after == before and self._salt:
                return
            self._salt = self._salt or secrets.token_bytes(_SALT_BYTES)
            try:
                write_private(self._path, json.dumps({"salt": self._salt.hex(), **after}))
            except OSError as error:
                self._complain(error)
            self._seen = self._stamp()

    def _complain(self, error: OSError | ConfigError) -> None:
        if not self._complained:
            logger.error("lock-out counts are kept in this process alone: %s", error)
        self._complained = True

    def _refresh(self) -> None:
        """Read what another process changed; while that cannot be read, what was known before holds."""
        if self._stamp() == self._seen:
            return
        try:
            self._read()
        except ConfigError as error:
            self._complain(error)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path_text)  # noqa: PTH116  # before each poll: Path costs as much again
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _read(self) -> None:
        seen = self._stamp()
        stored = read_json(self._path)
        self._seen = seen
        try:
            self._salt = bytes.fromhex(stored.get("salt", self._salt.hex()))
            self._state = _from_json(stored)
        except (KeyError, TypeError, ValueError, AttributeError):
            # Not ours or of another version: begin anew rather than not at all.
            self._state = LockoutState()


def _as_json(state: LockoutState) -> dict[str, Any]:
    return {
        "refusals": [[p.bmc, p.credential, r.count, r.last_s] for p, r in state.refusals.items()],
        "proven": sorted(state.proven),
        "claims": [[p.bmc, p.credential, c.until_s, c.owner] for p, c in state.claims.items()],
    }


def _from_json(stored: dict[str, Any]) -> LockoutState:
    return LockoutState(
        refusals={
            Pair(str(bmc), str(credential)): Refusals(count=int(count), last_s=float(last_s))
            for bmc, credential, count, last_s in stored.get("refusals", ())
        },
        proven={str(credential) for credential in stored.get("proven", ())},
        claims={
            Pair(str(bmc), str(credential)): Claim(until_s=float(until_s), owner=int(owner))
            for bmc, credential, until_s, owner in stored.get("claims", ())
        },
    )


def _drop_claims_of_the_dead(state: LockoutState) -> None:
    # Our own pid in the file was another process: we have just begun (pid 1 of a container, for one).
    state.claims = {
        pair: claim
        for pair, claim in state.claims.items()
        if claim.owner != os.getpid() and _alive(claim.owner)
    }


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
