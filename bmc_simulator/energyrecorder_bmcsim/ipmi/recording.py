"""Recorded answers of a real BMC: requests and answers as hex, and a controller that gives them again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from energyrecorder_bmcsim.ipmi.controller import Call, CommandTable, Controller
from energyrecorder_bmcsim.ipmi.faults import FaultPlan
from energyrecorder_bmcsim.ipmi.message import Completion, Request

Place = tuple[tuple[int, int], ...]
"""Channel and slave address of each satellite on the way to the last one; none: the BMC."""

_HOP = "[0-9a-f]{1,2}/[0-9a-f]{2}"
_KEY = re.compile(
    rf"(?:@(?P<way>{_HOP}(?::{_HOP})*) )?"
    r"(?P<request>[0-9a-f]{2}(?:\.[1-3])?/[0-9a-f]{2}(?: (?:[0-9a-f]{2})+)?)"
)
_FORM = "'NETFN/COMMAND DATA' in lower-case hex, such as '2c/02 dc010000'; '@CHANNEL/ADDRESS ' before it"


class Recording:
    """Which answers follow which request; several come in their order, and the last one stays.

    Args:
        content: Request → its answers as hex, each with its completion code in front. A request is
            ``2c/02 dc010000``: network function, command, data; ``04.1/2d 05`` is one to LUN 1,
            ``@6/2c 2e/c8 …`` one to the satellite at 2Ch on channel 6, and ``@0/82:7/72 …`` one to
            72h on channel 7 of the satellite 82h.

    Raises:
        ValueError: Something in it has another form.
    """

    def __init__(self, content: Any) -> None:
        if not isinstance(content, Mapping):
            raise ValueError(f"a recording is a table; allowed: {_FORM} → answers")  # noqa: TRY004  # one kind of error for whatever a file holds
        self._answers: dict[tuple[Place, str], list[bytes]] = {}
        for key, answers in content.items():
            found = _KEY.fullmatch(key)
            if found is None:
                raise ValueError(f"request {key!r}; allowed: {_FORM}")
            self._answers[_place(found["way"]), found["request"]] = _answers(key, answers)

    def behind(self, place: Place) -> set[tuple[int, int]]:
        """Return channel and address of the satellites that were asked right behind this one."""
        depth = len(place)
        return {way[depth] for way, _ in self._answers if len(way) > depth and way[:depth] == place}

    def answer(self, place: Place, request: Request) -> bytes:
        """Return completion code and data; C1h for what was not recorded."""
        lun = f".{request.lun}" if request.lun else ""
        data = f" {request.data.hex()}" if request.data else ""
        answers = self._answers.get((place, f"{request.netfn:02x}{lun}/{request.command:02x}{data}"))
        if answers is None:
            return bytes((Completion.INVALID_COMMAND,))
        return answers.pop(0) if len(answers) > 1 else answers[0]


class RecordedController(Controller):
    """A controller that knows some commands by itself and gives recorded answers to all others.

    Args:
        commands: What it knows by itself, such as those of a session.
        faults: What goes wrong.
        recording: All recorded answers.
        place: Whose answers are its own.
    """

    def __init__(self, commands: CommandTable, faults: FaultPlan, recording: Recording, place: Place) -> None:
        super().__init__(commands, faults)
        self._recording = recording
        self._place = place

    def answer(self, call: Call) -> bytes:
        """Return completion code and response data."""
        if (call.request.netfn, call.request.command) in self._commands:
            return super().answer(call)
        return self._recording.answer(self._place, call.request)


def _place(way: str | None) -> Place:
    hops = (hop.split("/") for hop in way.split(":")) if way else ()
    return tuple((int(channel, 16), int(address, 16)) for channel, address in hops)


def _answers(key: str, answers: Any) -> list[bytes]:
    try:
        found = [bytes.fromhex(answer) for answer in answers] if isinstance(answers, list) else []
    except (TypeError, ValueError):
        found = []
    if not found or not all(found):
        raise ValueError(f"request {key!r} has {answers!r}; allowed: a list of answers in hex, not empty")
    return found
