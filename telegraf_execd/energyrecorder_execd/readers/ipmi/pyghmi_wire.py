"""How log-ins and errors travel between the collector and the process that owns pyghmi (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from energyrecorder.errors import BmcAuthError, BmcDataError, BmcError, BmcUnreachableError
from energyrecorder.secret import Secret
from energyrecorder_execd.readers.ipmi.transport import CompletionCodeError, Login

_KINDS = (BmcAuthError, BmcUnreachableError, BmcDataError)


def from_login(login: Login) -> dict[str, Any]:
    """Return a log-in as JSON values, secrets in the clear: for a pipe to our own process only."""
    return {
        "address": login.address,
        "port": login.port,
        "user": login.user,
        "password": login.password.reveal(),
        "kg": None if login.kg is None else login.kg.reveal(),
        "privilege": login.privilege,
        "suites": login.suites,
        "timeout_s": login.timeout_s,
    }


def as_login(values: Mapping[str, Any]) -> Login:
    """Return what `from_login` was given."""
    secrets = {
        "password": Secret(values["password"]),
        "kg": None if values["kg"] is None else Secret(values["kg"]),
    }
    return Login(**{**values, **secrets, "suites": tuple(values["suites"])})


def as_error(error: BmcError) -> dict[str, Any]:
    """Return an error as JSON values."""
    if isinstance(error, CompletionCodeError):
        return {"kind": "code", "netfn": error.netfn, "command": error.command, "code": error.code}
    kind = next((kind.__name__ for kind in _KINDS if isinstance(error, kind)), "")
    return {"kind": kind, "message": str(error), "reason": error.reason}


def from_error(values: Mapping[str, Any]) -> BmcError:
    """Return what `as_error` was given."""
    if values["kind"] == "code":
        return CompletionCodeError(values["netfn"], values["command"], values["code"])
    kind: type[BmcError] = next((kind for kind in _KINDS if kind.__name__ == values["kind"]), BmcError)
    return kind(values["message"], reason=values["reason"])
