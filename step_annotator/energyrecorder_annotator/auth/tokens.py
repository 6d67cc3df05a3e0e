"""Tokens on disk: only their digests, so that a stolen file or backup opens nothing.

A token is ``er_<id>_<secret>``: the id finds the entry, the secret's SHA-256 is compared. The secret has 256
random bits, which no dictionary holds, so that a slow password hash would add nothing but load.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from energyrecorder.errors import ConfigError
from energyrecorder.state_dir import give_to_owner
from energyrecorder_annotator.auth.caller import SCOPES, Caller

FILE_NAME = "tokens.json"
_TOKEN = re.compile(r"er_(?P<id>[0-9a-f]{8})_(?P<secret>[A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


@dataclass(frozen=True, slots=True)
class Token:
    """One entry of the file.

    Args:
        token_id: Shown in lists, and part of the token.
        name: Who has it.
        digest: SHA-256 of the secret, in hexadecimal digits.
        scopes: Some of `SCOPES`.
        envs: Globs of the environments it is bound to; None means all.
        created_s: Seconds since the Unix epoch.
    """

    token_id: str
    name: str
    digest: str
    scopes: tuple[str, ...]
    envs: tuple[str, ...] | None
    created_s: int


def create_token(path: Path, name: str, scopes: Sequence[str], envs: Sequence[str]) -> str:
    """Add a token to the file and return it in clear: it cannot be shown again.

    Args:
        path: The file; made if missing, for the owner alone.
        name: Who gets it; once per file.
        scopes: Some of `SCOPES`.
        envs: Globs of environments; empty means all.

    Raises:
        ConfigError: The name is taken or is no name, a scope is unknown, or a glob has brackets.
    """
    tokens = read_tokens(path)
    if not _NAME.fullmatch(name):
        raise ConfigError(f"token name is {name!r}; allowed: 1 to 64 letters, digits and . _ @ -")
    if any(token.name == name for token in tokens):
        raise ConfigError(f"there is a token named {name!r} already; revoke it first or choose another name")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ConfigError(f"scopes are {list(scopes)!r}; allowed: {', '.join(SCOPES)}")
    if any("[" in env or not env for env in envs):
        raise ConfigError(f"environments are {list(envs)!r}; allowed: names, with * and ? as wildcards")
    token_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    entry = Token(
        token_id=token_id,
        name=name,
        digest=_digest(secret),
        scopes=tuple(sorted(set(scopes))),
        envs=tuple(envs) or None,
        created_s=int(time.time()),
    )
    _write(path, [*tokens, entry])
    return f"er_{token_id}_{secret}"


def revoke_token(path: Path, name: str) -> None:
    """Remove the token with this name or id.

    Raises:
        ConfigError: There is none.
    """
    tokens = read_tokens(path)
    kept = [token for token in tokens if name not in {token.name, token.token_id}]
    if len(kept) == len(tokens):
        raise ConfigError(f"there is no token {name!r}; `energy-annotator token list` shows them")
    # The file stays when it is empty: whoever had tokens does not want an open service.
    _write(path, kept)


def read_tokens(path: Path) -> list[Token]:
    """Return the entries of the file; none when it is missing.

    Raises:
        ConfigError: It cannot be read or is damaged.
    """
    try:
        raw = json.loads(path.read_bytes())
        return [_entry(entry) for entry in raw["tokens"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise ConfigError(
            f"token file {str(path)!r} cannot be read: {reason}; restore it, or remove it and "
            "create new tokens"
        ) from None


def _entry(raw: dict[str, object]) -> Token:
    scopes, envs = raw["scopes"], raw["envs"]
    if not isinstance(scopes, list) or not isinstance(envs, list | None):
        raise TypeError(raw)
    return Token(
        token_id=str(raw["token_id"]),
        name=str(raw["name"]),
        digest=str(raw["digest"]),
        scopes=tuple(map(str, scopes)),
        envs=None if envs is None else tuple(map(str, envs)),
        created_s=int(str(raw["created_s"])),
    )


def _write(path: Path, tokens: Iterable[Token]) -> None:
    text = json.dumps({"tokens": [asdict(token) for token in tokens]}, indent=1)
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            give_to_owner(file.fileno(), path.parent)
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"token file {str(path)!r} cannot be written: {error.strerror}") from None


def caller_of(text: str, tokens: Iterable[Token]) -> Caller | None:
    """Return whose token ``text`` is, or None; compared in constant time."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    digest = _digest(match["secret"])
    for token in tokens:
        if token.token_id == match["id"] and hmac.compare_digest(token.digest, digest):
            return Caller(name=token.name, scopes=frozenset(token.scopes), envs=token.envs)
    return None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
