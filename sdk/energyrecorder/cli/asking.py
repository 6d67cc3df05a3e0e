"""What the verbs that ask share: options, answers of the annotator, and where a text goes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple, TypeVar
from urllib.parse import urlencode

import click

from energyrecorder.cli.job import Job
from energyrecorder.errors import ConfigError
from energyrecorder.transport import Transport, TransportError

F = TypeVar("F", bound=Callable[..., Any])
TIMEOUT_S = 30.0
_UNUSABLE = (400, 422)
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


class Percent(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.2
    """A part written in percent, such as ``5%``."""

    name = "percent"

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> float:
        """Return the part of 1."""
        if isinstance(value, float):
            return value
        match = _PERCENT.fullmatch(value)
        part = float(match[1]) / 100 if match else 0.0
        if part <= 0:
            self.fail(f"{value!r} is not a positive number of percent, such as 5%", param, ctx)
        return part


_RULES = (
    click.option(
        "--min-effect",
        type=Percent(),
        default="5%",
        show_default=True,
        metavar="P",
        help="Change that matters.",
    ),
    click.option(
        "--alpha",
        type=Percent(),
        default="5%",
        show_default=True,
        metavar="P",
        help="False alarms that are allowed, over all steps together.",
    ),
    click.option(
        "--steps/--no-steps", default=True, help="Judge each step, too, or the run as a whole only."
    ),
)
output_option = click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write to."
)


def rule_options(command: F) -> F:
    """Let a verb take the rules of a comparison: ``min_effect``, ``alpha`` and ``steps``."""
    for option in reversed(_RULES):
        command = option(command)
    return command


def connect(job: Job) -> Transport:
    """Return the way to the annotator."""
    return Transport(job.settings.url, now=job.now, authorization=job.settings.authorization())


def ask(
    transport: Transport, method: str, path: str, body: Optional[Dict[str, Any]] = None
) -> Dict[str, Any]:
    """Return an answer of the annotator.

    Raises:
        ConfigError: What was asked is malformed.
        AnnotatorError: The annotator does not answer, or does not know what was asked for.
    """
    try:
        return transport.exchange(method, path, body, timeout_s=TIMEOUT_S)
    except TransportError as error:
        if error.status in _UNUSABLE:
            raise ConfigError(str(error)) from None
        raise


def query_of(pairs: Sequence[Tuple[str, Any]]) -> str:
    """Return a query; pairs whose value is None are left out."""
    return urlencode([(key, _plain(value)) for key, value in pairs if value is not None])


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_json(answer: Mapping[str, Any]) -> str:
    """Return an answer as a file holds it, without what was rendered of it and our clocks."""
    left_out = ("documents", "received_ns", "sent_ns")

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if key not in left_out}
        return [plain(one) for one in value] if isinstance(value, list) else value

    return json.dumps(plain(answer), indent=1, ensure_ascii=False)


def put_out(text: str, output: Optional[Path]) -> None:
    """Print a text or write it to a file.

    Raises:
        ConfigError: The file cannot be written.
    """
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{str(output)!r} cannot be written: {error.strerror}") from None


def wants_summary() -> bool:
    """Tell whether this is a GitHub job with a summary."""
    return bool(os.environ.get("GITHUB_STEP_SUMMARY"))


def summarise(job: Job, text: str) -> None:
    """Add Markdown to the summary of a GitHub job; one that cannot be written is told, no more."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{text.rstrip()}\n\n")
    except OSError as error:
        job.warn(f"GITHUB_STEP_SUMMARY: {error}")
