"""A management controller: finds the handler of a command, checks privilege and length, answers."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from energyrecorder_bmcsim.ipmi.faults import READING_COMMANDS, FaultPlan
from energyrecorder_bmcsim.ipmi.message import Completion, NetFn, RefusedError, Request
from energyrecorder_bmcsim.ipmi.session import Session

DCMI_GROUP = 0xDC


class Privilege(IntEnum):
    """Privilege levels (IPMI 2.0 §6.8)."""

    NONE = 0
    CALLBACK = 1
    USER = 2
    OPERATOR = 3
    ADMINISTRATOR = 4


@dataclass(slots=True)
class Call:
    """One command on its way.

    Args:
        request: The message it came in.
        data: Its data; of a DCMI command without the group id.
        now_ns: Moment of the request, nanoseconds since the Unix epoch, UTC.
        session: The session it came in; None outside.
        follow_ups: What is sent after the answer: requests, and completion codes with data that answer them.
        delay_s: What the command costs beyond the usual, seconds.
    """

    request: Request
    data: bytes
    now_ns: int
    session: Session | None
    follow_ups: list[tuple[Request, bytes]] = field(default_factory=list)
    delay_s: float = 0.0

    @property
    def privilege(self) -> int:
        """Privilege with which it came."""
        return Privilege.NONE if self.session is None else self.session.privilege


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a controller knows.

    Args:
        handler: Returns the response data without completion code; raises `RefusedError`.
        lengths: Allowed numbers of data octets; others end with C7h.
        privilege: Least privilege (IPMI 2.0 appendix G).
    """

    handler: Callable[[Call], bytes]
    lengths: Container[int] = (0,)
    privilege: Privilege = Privilege.USER


CommandTable = Mapping[tuple[int, int], Command]
"""Network function and command code → command; of the group extension only DCMI's."""


class Controller:
    """One management controller.

    Args:
        commands: What it knows.
        faults: What goes wrong.
    """

    def __init__(self, commands: CommandTable, faults: FaultPlan) -> None:
        self._commands = commands
        self._faults = faults

    def answer(self, call: Call) -> bytes:
        """Return completion code and response data."""
        try:
            return bytes((Completion.OK,)) + self._run(call)
        except RefusedError as refusal:
            return bytes((refusal.code,))

    def _run(self, call: Call) -> bytes:
        request = call.request
        key = (request.netfn, request.command)
        prefix = b""
        if request.netfn == NetFn.GROUP:
            if not call.data:
                raise RefusedError(Completion.LENGTH_INVALID)
            prefix, call.data = call.data[:1], call.data[1:]
            if prefix[0] != DCMI_GROUP or self._faults.find("dcmi_off", call.now_ns):
                raise RefusedError(Completion.INVALID_COMMAND)
        command = self._commands.get(key)
        if command is None or (request.lun and request.netfn != NetFn.SENSOR):
            raise RefusedError(Completion.INVALID_COMMAND)
        if call.privilege < command.privilege:
            raise RefusedError(Completion.INSUFFICIENT_PRIVILEGE)
        if len(call.data) not in command.lengths:
            raise RefusedError(Completion.LENGTH_INVALID)
        if key in READING_COMMANDS:
            fault = self._faults.strikes("completion_code", call.now_ns)
            if fault is not None:
                raise RefusedError(fault.code)
        return prefix + command.handler(call)
