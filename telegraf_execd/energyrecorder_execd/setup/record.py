"""Writes what a BMC answered as a test case, without what tells whose BMC it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from energyrecorder.errors import ConfigError
from energyrecorder_execd.fleet import Server
from energyrecorder_execd.fleet.render import toml_value
from energyrecorder_execd.setup.conversation import Conversation
from energyrecorder_execd.setup.record_ipmi import ipmi_answers, ipmi_description
from energyrecorder_execd.setup.scrub import Scrubber

NOTICE = (
    "Serial numbers, addresses, host names and accounts were replaced as far as their names and forms tell "
    "them: read the files before you pass them on. The vendor's terms may apply to what a BMC says. Nothing "
    "was uploaded."
)
POLLS = 2
"""The second poll asks for what only later polls need; of IPMI, all sources are asked after each."""

_WHAT = "What is special about this BMC; its vendor, model and firmware are the folder's name."
_VOLATILE = re.compile(r",?(?:latency_ms|scrape_ms|late_ticks)=[^, ]*")


def case_files(talk: Conversation) -> dict[str, str]:
    """Return the files of a test case: name → text.

    Args:
        talk: What was said.

    Raises:
        ConfigError: The BMC gave no answer to record.
    """
    documents = talk.documents() if talk.protocol != "ipmi" else {}
    if not documents and not talk.ipmi:
        last = talk.outcomes[-1] if talk.outcomes else None
        why = f"{last.error}: {last.message}" if last is not None else "it was not asked"
        raise ConfigError(f"server {talk.server.id!r}: no answer to record: {why}")
    target = talk.server.target
    known = [target.address, target.user, target.password.reveal()]
    # An id that is a plain word, such as "power", stands in the answers for other reasons.
    own = [] if talk.server.id.isalpha() else [talk.server.id]
    scrubber = Scrubber([*known, *own])
    clean = scrubber.documents(documents) if documents else ipmi_answers(talk.ipmi)
    lines = sorted(scrubber.text(_line(line, talk.server)) for line in talk.lines)
    return {
        "bmc.toml": _description(talk, documents),
        "responses.json": json.dumps(clean, indent=1, ensure_ascii=False) + "\n",
        "expected.out": "".join(f"{line}\n" for line in lines),
    }


def make_folder(folder: Path) -> None:
    """Make a new folder, or take an empty one.

    Raises:
        ConfigError: It holds something, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"--out {str(folder)!r} cannot be made: {error.strerror}") from None
    if not empty:
        raise ConfigError(f"--out {str(folder)!r} is not empty; allowed: a new folder")


def write_case(files: Mapping[str, str], folder: Path) -> None:
    """Write the files into a folder.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {str(folder)!r} cannot be written: {error.strerror}") from None


def _line(line: str, server: Server) -> str:
    """Return a printed line as test cases have it: no time, no durations, server ``bmc`` of ``lab``."""
    head, _, rest = line.partition(" ")
    fields = _VOLATILE.sub("", rest.rpartition(" ")[0]).lstrip(",")
    head = re.sub(rf"([, ])server={re.escape(server.id)}(?=[,/]|$)", r"\1server=bmc", head)
    return f"{re.sub(r',env=[^,]*', ',env=lab', head)} {fields}"


def _description(talk: Conversation, documents: Mapping[str, Any]) -> str:
    if not documents:
        return f'about = """\n{_WHAT}\n"""\n\n{ipmi_description(talk)}'
    protocol = talk.protocol or "redfish"
    simulated = "redfish"
    if protocol == "ilo":
        # Which way its records run says the generation; see the simulator's protocols.
        old = any(path.endswith("/PowerMetrics/FastPowerMeter") for path in documents)
        rest = any(path.startswith("/rest/") for path in documents)
        simulated = "ilo4-2.10" if old else "ilo4-2.40" if rest else "ilo5"
    return (
        f'about = """\n{_WHAT}\n"""\n\n[bmc]\nprotocol = {toml_value(simulated)}\nscheme = "http"\n\n'
        f"[server]\nprotocol = {toml_value(protocol)}\n"
    )
