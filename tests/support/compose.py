"""Services of the compose file as processes of this machine, where there is no container engine.

What a container would have is put together as the Dockerfile and the compose file say: files, variables and
command. Only the places differ: absolute paths get another root, and each name or port of the containers'
network an address of loopback.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from influxd import Influxd
from support.tools import need

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
# What the image's first start gives to the users that its variables name.
_IMAGE_GRANTS = {"INFLUXDB_USER": "ALL", "INFLUXDB_WRITE_USER": "WRITE", "INFLUXDB_READ_USER": "READ"}

Json = dict[str, Any]
Places = Sequence[tuple[str, str]]
"""Texts of the containers' world and what stands for them here."""


def services() -> dict[str, Json]:
    """Return the services of the compose file."""
    found: dict[str, Json] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


def stage(name: str) -> list[str]:
    """Return the instructions of a stage of the Dockerfile, after those of the stages it builds on."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    for block in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        head, *lines = block.splitlines()
        base, _, own = head.partition(" AS ")
        if own == name:
            return [*(stage(base) if ":" not in base else []), *lines]
    raise KeyError(name)


def variables(path: Path) -> dict[str, str]:
    """Return what an ``--env-file`` holds."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def environment(service: Json, secrets: Path) -> dict[str, str]:
    """Return the variables that the compose file tells a service, the secrets among them filled in."""
    known = variables(secrets)
    told: dict[str, str] = service.get("environment", {})
    return {
        key: re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: known[match[1]], value)
        for key, value in told.items()
    }


class Container:
    """One of our images' services as a process.

    Args:
        name: Of the service.
        folder: For its files.
        secrets: The ``--env-file``.
        places: See there.
    """

    def __init__(self, name: str, folder: Path, secrets: Path, places: Places) -> None:
        service = services()[name]
        self._root = folder / name
        self._places = places
        self._stage = stage(service["build"]["target"])
        for line in self._stage:
            self._copy(line)
        for volume in service.get("volumes", ()):
            source, target, *_ = volume.split(":")
            if source.startswith("."):
                self._put(DEPLOY / source, target)
        for state in ("var/lib/energyrecorder", "etc"):
            (self._root / state).mkdir(parents=True, exist_ok=True)
        told = {**self._image_variables(), **environment(service, secrets)}
        self.environ = {key: self.here(value) for key, value in told.items()}
        self.command = [self.here(word) for word in self._instruction("CMD")]
        self._log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def here(self, text: str) -> str:
        """Return a text of the container with the places of this machine."""
        for there, this in self._places:
            text = text.replace(there, this)
        text = text.replace("/opt/energyrecorder/bin", str(BIN))
        return re.sub(r"(?<![\w/.])/(?=(?:etc|var/lib)/)", f"{self._root}/", text)

    def is_healthy(self) -> bool:
        """Run the image's health check once."""
        words = json.loads(self._instruction_text("HEALTHCHECK").partition("CMD ")[2])
        command = [self.here(word) for word in words]
        done = subprocess.run(command, env=self.environ, capture_output=True, timeout=60, check=False)
        return done.returncode == 0

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environ, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is None or self.process.stdin is None:
            return
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _copy(self, line: str) -> None:
        words = line.split()
        if words[:1] != ["COPY"] or words[1].startswith("--") or not words[-1].startswith("/"):
            return
        *sources, target = words[1:]
        for source in sources:
            self._put(ROOT / source, target + (Path(source).name if target.endswith("/") else ""))

    def _put(self, source: Path, target: str) -> None:
        file = self._root / target.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.here(source.read_text(encoding="utf-8")), encoding="utf-8")

    def _image_variables(self) -> dict[str, str]:
        words = [word for line in self._stage if line.startswith("ENV ") for word in line.split()[1:]]
        found = dict(word.split("=", 1) for word in words)
        inherited = f"{Path(need('telegraf')).parent}:{os.environ['PATH']}"
        return {**found, "PATH": found["PATH"].replace("$PATH", inherited)}

    def _instruction(self, name: str) -> list[str]:
        words: list[str] = json.loads(self._instruction_text(name))
        return words

    def _instruction_text(self, name: str) -> str:
        return next(line for line in reversed(self._stage) if line.startswith(name)).partition(" ")[2]


class InfluxdbService(Influxd):
    """The service ``influxdb`` on InfluxDB's own server, with what the image does at its first start.

    Args:
        folder: For its data.
        secrets: The ``--env-file``.
    """

    def __init__(self, folder: Path, secrets: Path) -> None:
        self.environ: Mapping[str, str] = environment(services()["influxdb"], secrets)
        super().__init__(folder, guarded=self.environ["INFLUXDB_HTTP_AUTH_ENABLED"] == "true")

    def start(self) -> None:
        """Start it and make the database and the users that its variables name."""
        super().start()
        try:
            self._first_start()
        except BaseException:
            self.stop()
            raise

    def _first_start(self) -> None:
        database = self.environ["INFLUXDB_DB"]
        admin, password = self._user("INFLUXDB_ADMIN_USER")
        self.query(f"CREATE USER \"{admin}\" WITH PASSWORD '{password}' WITH ALL PRIVILEGES")
        self.ask_as("INFLUXDB_ADMIN_USER", f'CREATE DATABASE "{database}"')
        for variable, right in _IMAGE_GRANTS.items():
            if variable in self.environ:
                name, password = self._user(variable)
                self.ask_as("INFLUXDB_ADMIN_USER", f"CREATE USER \"{name}\" WITH PASSWORD '{password}'")
                self.ask_as("INFLUXDB_ADMIN_USER", f'GRANT {right} ON "{database}" TO "{name}"')

    def ask_as(self, variable: str, text: str) -> list[Json]:
        """Return the series of a statement, asked as the user that a variable names."""
        name, password = self._user(variable)
        form = {"q": text, "db": self.environ["INFLUXDB_DB"], "u": name, "p": password}
        url = f"{self.url}/query?{urllib.parse.urlencode(form)}"
        with urllib.request.urlopen(url, b"", 60) as answer:
            result: Json = json.load(answer)["results"][0]
        assert "error" not in result, result
        found: list[Json] = result.get("series", [])
        return found

    def is_healthy(self) -> bool:
        """Run the service's health check once."""
        _, *words = services()["influxdb"]["healthcheck"]["test"]
        command = [word.replace(":8086", f":{self.port}") for word in words]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0

    def _user(self, variable: str) -> tuple[str, str]:
        password = "INFLUXDB_ADMIN_PASSWORD" if variable == "INFLUXDB_ADMIN_USER" else f"{variable}_PASSWORD"
        return self.environ[variable], self.environ[password]
