"""Where the SDK and the CLI send steps: environment variables, then the project's file, then defaults."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from energyrecorder.ci_context import is_jenkins
from energyrecorder.environment import is_disabled
from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret, resolve
from energyrecorder.settings import Setting, load_toml, read_table

DEFAULT_URL = "http://127.0.0.1:8742"
FILE_NAME = "energyrecorder.toml"
_LEGACY_SUFFIX = "/resources"


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    try:
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        port_is_good = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_good:
        raise ValueError("a URL such as 'http://energy.example:8742'")
    if parts.username or parts.password:
        raise ValueError("a URL without a password; give the token by ENERGY_TOKEN")
    return text.rstrip("/")


FILE_SETTINGS = (
    Setting("url", "str", "Where the annotator listens.", check=_http_url),
    Setting("env", "str", "Environment whose servers the steps run on."),
    Setting("token", "str", "Bearer token: {env=NAME}, {file=PATH} or a literal."),
    Setting("servers", "list[str]", "Server ids or globs; absent means all servers of the environment."),
)
_URL = FILE_SETTINGS[0]


@dataclass(frozen=True)
class SdkSettings:
    """What the SDK and the CLI need to know to deliver steps.

    Args:
        url: Base URL of the annotator, without a slash at the end.
        url_is_default: Nobody configured a URL.
        env: Environment; None means unknown: steps are kept until one is given.
        token: Bearer token; None means none.
        basic: User and password for a proxy in front of the original API; None means none.
        servers: Ids or globs that limit a step's servers; empty means all of the environment.
        disabled: Record nothing at all.
        env_is_agent: The environment is Jenkins' ``NODE_NAME``, which names the agent.
        spool_dir: Where steps wait while the annotator is away.
    """

    url: str
    spool_dir: Path
    url_is_default: bool = False
    env: Optional[str] = None
    token: Optional[Secret] = None
    basic: Optional[Tuple[str, Secret]] = None
    servers: Tuple[str, ...] = ()
    disabled: bool = False
    env_is_agent: bool = False

    def authorization(self) -> Optional[str]:
        """Return the value of the ``Authorization`` header, or None."""
        if self.token:
            return f"Bearer {self.token.reveal()}"
        if self.basic:
            user, password = self.basic
            pair = f"{user}:{password.reveal()}".encode()
            return f"Basic {base64.b64encode(pair).decode('ascii')}"
        return None

    def with_env(self, env: Optional[str]) -> SdkSettings:
        """Return these settings with the environment of a flag; None keeps what is configured."""
        return self if env in (None, self.env) else replace(self, env=env, env_is_agent=False)

    def without_url(self) -> SdkSettings:
        """Return these settings as they were before anybody configured a URL."""
        return replace(self, url=DEFAULT_URL, url_is_default=True)


def load(environ: Optional[Mapping[str, str]] = None, cwd: Optional[Path] = None) -> SdkSettings:
    """Return the settings of this process.

    Args:
        environ: Variables; None means the process environment.
        cwd: Where the search for the project's file starts; None looks for none.

    Raises:
        ConfigError: A variable or the file holds something that is not allowed.
    """
    variables = os.environ if environ is None else environ
    return _combine(variables, {} if cwd is None else _from_file(cwd, variables))


def load_from_variables(environ: Optional[Mapping[str, str]] = None) -> SdkSettings:
    """Return the settings without the project's file and without what is malformed: they never fail."""
    variables = dict(os.environ if environ is None else environ)
    for name in ("ENERGY_URL", "ENERGY_RECORDER_API_URL"):
        try:
            _http_url(variables.get(name) or DEFAULT_URL)
        except ValueError:
            del variables[name]
    return _combine(variables, {})


def find_file(cwd: Path) -> Optional[Path]:
    """Return the project's settings file, or None.

    ``energyrecorder.toml``, else a ``pyproject.toml`` with a table ``[tool.energyrecorder]``, of the nearest
    directory from ``cwd`` up to the root of the repository; outside a repository only ``cwd`` itself, so
    that a file planted in a shared directory above sends nobody's steps elsewhere.
    """
    directories = [cwd, *cwd.parents]
    roots = [index for index, directory in enumerate(directories) if (directory / ".git").exists()]
    for directory in directories[: roots[0] + 1 if roots else 1]:
        file = directory / FILE_NAME
        if file.is_file():
            return file
        project = directory / "pyproject.toml"
        try:
            if b"[tool.energyrecorder]" in project.read_bytes():
                return project
        except OSError:
            continue
    return None


def _from_file(cwd: Path, environ: Mapping[str, str]) -> Dict[str, Any]:
    file = find_file(cwd)
    if file is None:
        return {}
    table: Any = load_toml(file)
    where = str(file)
    if file.name != FILE_NAME:
        table = table.get("tool", {}).get("energyrecorder", {})
        where = f"{file}: [tool.energyrecorder]"
    values = read_table(table, FILE_SETTINGS, where=where)
    if values["token"] is not None:
        values["token"] = resolve(values["token"], where=f"{where}: key 'token'", environ=environ)
    return values


def _combine(environ: Mapping[str, str], file: Mapping[str, Any]) -> SdkSettings:
    configured = _variable_url(environ) or file.get("url")
    token = environ.get("ENERGY_TOKEN")
    user = environ.get("ENERGY_RECORDER_API_USER")
    servers = environ.get("ENERGY_SERVERS")
    env = environ.get("ENERGY_ENV") or file.get("env")
    return SdkSettings(
        url=configured or DEFAULT_URL,
        url_is_default=configured is None,
        env=env or environ.get("NODE_NAME") or None,
        env_is_agent=not env and bool(environ.get("NODE_NAME")) and is_jenkins(environ),
        token=Secret(token) if token else file.get("token"),
        basic=(user, Secret(environ.get("ENERGY_RECORDER_API_PASSWORD", ""))) if user else None,
        servers=tuple(servers.replace(",", " ").split()) if servers else tuple(file.get("servers") or ()),
        disabled=is_disabled(environ),
        spool_dir=_spool_dir(environ),
    )


def _variable_url(environ: Mapping[str, str]) -> Optional[str]:
    for name in ("ENERGY_URL", "ENERGY_RECORDER_API_URL"):
        text = environ.get(name)
        if not text:
            continue
        try:
            url = _http_url(text)
        except ValueError as error:
            raise ConfigError(f"environment variable {name} is {text!r}; allowed: {error}") from None
        # The original's URL ends in its own root; ours serve the original's routes beside /v1.
        return url.removesuffix(_LEGACY_SUFFIX)
    return None


def _spool_dir(environ: Mapping[str, str]) -> Path:
    explicit = environ.get("ENERGY_SPOOL_DIR")
    if explicit:
        return Path(explicit)
    base = environ.get("XDG_STATE_HOME")
    if base:
        return Path(base) / "energyrecorder" / "spool"
    try:
        home = Path.home()
    except RuntimeError:  # a container's user id without an entry in passwd
        home = Path("/nonexistent")
    return home / ".local" / "state" / "energyrecorder" / "spool"
