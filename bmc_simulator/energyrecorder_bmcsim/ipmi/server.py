"""A simulated BMC on a UDP port of loopback: RMCP+ in, power readings out."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from functools import partial

from energyrecorder_bmcsim.ipmi import rmcp
from energyrecorder_bmcsim.ipmi.bridge import Bridge
from energyrecorder_bmcsim.ipmi.channel import Channel
from energyrecorder_bmcsim.ipmi.controller import Call, CommandTable, Controller
from energyrecorder_bmcsim.ipmi.dcmi import PowerMeter
from energyrecorder_bmcsim.ipmi.faults import FaultPlan, IpmiFault
from energyrecorder_bmcsim.ipmi.identity import Identity
from energyrecorder_bmcsim.ipmi.message import BMC_ADDRESS, build_response, parse_request
from energyrecorder_bmcsim.ipmi.oem import EnergyCounters, NodeManager
from energyrecorder_bmcsim.ipmi.rakp import LogIn
from energyrecorder_bmcsim.ipmi.recording import Place, RecordedController, Recording
from energyrecorder_bmcsim.ipmi.rmcp import PayloadType, WireError
from energyrecorder_bmcsim.ipmi.sdr import SdrRepository, controller_locator_record, full_sensor_record
from energyrecorder_bmcsim.ipmi.sensors import SensorDevice
from energyrecorder_bmcsim.ipmi.session import Peer, Phase, Session, SessionTable
from energyrecorder_bmcsim.ipmi.settings import (
    ControllerSettings,
    IpmiSettings,
    ReadingSource,
    SdrSensor,
)

__all__ = ["ControllerSettings", "IpmiBmc", "IpmiFault", "IpmiSettings", "ReadingSource", "SdrSensor"]

LOOPBACK = "127.0.0.1"


class IpmiBmc:
    """One simulated BMC.

    Args:
        settings: What it is.
        source: Where its figures come from; or what a real BMC answered, which then answers everything
            but the commands of a session.
        clock: Returns nanoseconds since the Unix epoch, UTC; sessions and faults go by it too.
    """

    def __init__(
        self,
        settings: IpmiSettings,
        source: ReadingSource | Recording,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._faults = FaultPlan()
        self._sessions = SessionTable(slots=settings.max_sessions, idle_s=settings.idle_s)
        guid = settings.guid or os.urandom(16)
        self._log_in = LogIn(settings, guid, self._sessions, self._faults)
        if isinstance(source, Recording):
            self._controller = self._recorded(source, ())
        else:
            self._controller = self._build_controller(guid, source)
        self._transport: asyncio.DatagramTransport | None = None
        self._free_at_s = 0.0
        self._requests = 0
        self._dropped = 0
        self._looked_ns = clock()

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1 and return the port.

        Args:
            port: UDP port; 0 takes any free one.
        """
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Endpoint(self._received), local_addr=(LOOPBACK, port)
        )
        self._transport = transport
        bound: int = transport.get_extra_info("sockname")[1]
        return bound

    async def close(self) -> None:
        """Stop listening; sessions are forgotten."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        self._sessions.clear()
        # The transport gives its socket back in the next round of the loop.
        await asyncio.sleep(0)

    def inject(self, fault: IpmiFault) -> None:
        """Let something go wrong from the fault's start to its end."""
        self._forget_if_rebooted(self._clock())
        self._faults.add(fault)
        if fault.kind == "bmc_reboot" and fault.active(self._looked_ns):
            self._sessions.clear()

    def stats(self) -> dict[str, int]:
        """Return counts since the start.

        ``requests``: datagrams that were well formed; ``log_ins``: sessions that came to life; ``refused``:
        log-in steps answered or given up with an error; ``live_sessions``: sessions logged in at present;
        ``dropped``: datagrams that got no answer because of their form, their code or their number.
        """
        self._forget_if_rebooted(self._clock())
        counts = self._log_in.counts
        return {
            "requests": self._requests,
            "log_ins": counts.done,
            "live_sessions": len(self._sessions.active(self._clock())),
            "refused": counts.refused,
            "dropped": self._dropped,
        }

    def _build_controller(self, guid: bytes, source: ReadingSource) -> Controller:
        settings = self._settings.controller
        return Controller(
            {
                **self._device_commands(settings, source, guid),
                **self._session_commands(self._satellites(settings, source)),
            },
            self._faults,
        )

    def _satellites(
        self, settings: ControllerSettings, source: ReadingSource
    ) -> dict[tuple[int, int], Controller]:
        """Return the controllers behind one, by channel and address, with those behind them."""
        return {
            (satellite.channel, satellite.address): Controller(
                {
                    **self._device_commands(satellite, source, os.urandom(16)),
                    **self._bridge_commands(self._satellites(satellite, source)),
                },
                self._faults,
            )
            for satellite in settings.bridged
        }

    def _recorded(self, recording: Recording, place: Place) -> Controller:
        behind = {hop: self._recorded(recording, (*place, hop)) for hop in recording.behind(place)}
        commands = self._bridge_commands(behind) if place else self._session_commands(behind)
        return RecordedController(commands, self._faults, recording, place)

    def _session_commands(self, satellites: Mapping[tuple[int, int], Controller]) -> CommandTable:
        channel = Channel(self._settings, self._sessions)
        return {**channel.commands(), **self._bridge_commands(satellites)}

    def _bridge_commands(self, satellites: Mapping[tuple[int, int], Controller]) -> CommandTable:
        return Bridge(satellites, self._settings.bridge_style).commands()

    def _device_commands(
        self, settings: ControllerSettings, source: ReadingSource, guid: bytes
    ) -> CommandTable:
        started_ns = self._clock()
        device = SensorDevice(settings, source, self._faults)
        records = tuple(
            full_sensor_record(sensor, owner=settings.address, lun=lun, number=number)
            for (lun, number), sensor in device.sensors.items()
        )
        records += tuple(controller_locator_record(satellite) for satellite in settings.bridged)
        records += settings.extra_records
        meter = PowerMeter(settings, source, self._faults, started_ns)
        energy = EnergyCounters(source, settings.share, started_ns)
        return {
            **Identity(settings, guid, source).commands(),
            **SdrRepository(settings, records, self._faults, started_ns).commands(),
            **device.commands(),
            **(meter.commands() if settings.dcmi else {}),
            **(NodeManager(meter).commands() if settings.node_manager else {}),
            **(energy.commands() if settings.lenovo_energy else {}),
        }

    def _received(self, datagram: bytes, peer: Peer) -> None:
        now_ns = self._clock()
        if self._is_silent(now_ns):
            return
        try:
            answers, delay_s = self._answers(rmcp.parse(datagram), peer, now_ns)
        except WireError:
            self._dropped += 1
            return
        self._requests += 1
        self._send(answers, peer, delay_s + self._latency_s(now_ns))

    def _is_silent(self, now_ns: int) -> bool:
        self._forget_if_rebooted(now_ns)
        rebooting = self._faults.find("bmc_reboot", now_ns) is not None
        return rebooting or self._faults.strikes("silent", now_ns) is not None

    def _forget_if_rebooted(self, now_ns: int) -> None:
        if self._faults.began("bmc_reboot", self._looked_ns, now_ns):
            self._sessions.clear()
        self._looked_ns = now_ns

    def _latency_s(self, now_ns: int) -> float:
        slow = self._faults.strikes("slow", now_ns)
        return self._settings.latency_s + (slow.latency_s if slow else 0.0)

    def _answers(
        self, packet: rmcp.Ping | rmcp.Packet15 | rmcp.Packet20, peer: Peer, now_ns: int
    ) -> tuple[list[bytes], float]:
        """Return the datagrams that answer a packet, and what they cost beyond the usual in seconds."""
        if isinstance(packet, rmcp.Ping):
            answers = [rmcp.pong(packet.tag)]
            if packet.sequence != rmcp.NO_ACK_SEQUENCE:
                answers.insert(0, rmcp.acknowledgement(packet.sequence))
            return answers, 0.0
        if isinstance(packet, rmcp.Packet15):
            return self._command(packet.payload, None, now_ns, rmcp.wrap_v15)
        if packet.session_id:
            return self._in_session(packet, peer, now_ns)
        if packet.payload_type == PayloadType.IPMI:
            return self._command(packet.payload, None, now_ns, partial(rmcp.wrap_v20, PayloadType.IPMI))
        return self._log_in_step(packet, peer, now_ns), 0.0

    def _log_in_step(self, packet: rmcp.Packet20, peer: Peer, now_ns: int) -> list[bytes]:
        payload = packet.payload
        if packet.payload_type == PayloadType.OPEN_SESSION_REQUEST:
            answer = self._log_in.open_session(payload, peer, now_ns)
            return [rmcp.wrap_v20(PayloadType.OPEN_SESSION_RESPONSE, answer)]
        if packet.payload_type == PayloadType.RAKP_1:
            return [rmcp.wrap_v20(PayloadType.RAKP_2, self._log_in.rakp_1(payload, now_ns))]
        if packet.payload_type == PayloadType.RAKP_3:
            rakp_4 = self._log_in.rakp_3(payload, now_ns)
            return [] if rakp_4 is None else [rmcp.wrap_v20(PayloadType.RAKP_4, rakp_4)]
        raise WireError(f"payload type {packet.payload_type:#x}")

    def _in_session(self, packet: rmcp.Packet20, peer: Peer, now_ns: int) -> tuple[list[bytes], float]:
        session = self._sessions.find(packet.session_id, now_ns)
        if session is None or session.phase is not Phase.ACTIVE:
            raise WireError("no such session")
        message = session.open(packet)
        if packet.payload_type != PayloadType.IPMI:
            raise WireError(f"payload type {packet.payload_type:#x}")
        session.used_ns = now_ns
        session.peer = peer
        return self._command(message, session, now_ns, session.seal)

    def _command(
        self, payload: bytes, session: Session | None, now_ns: int, wrap: Callable[[bytes], bytes]
    ) -> tuple[list[bytes], float]:
        request = parse_request(payload)
        if request.responder != BMC_ADDRESS:
            raise WireError("not for the BMC: satellites are reached by Send Message")
        call = Call(request, request.data, now_ns, session)
        body = self._controller.answer(call)
        answers = [(request, body), *call.follow_ups]
        return [wrap(build_response(*answer)) for answer in answers], call.delay_s

    def _send(self, answers: list[bytes], peer: Peer, delay_s: float) -> None:
        """Send answers when the BMC has got round to them: it works on one request after the other."""
        loop = asyncio.get_running_loop()
        self._free_at_s = max(loop.time(), self._free_at_s) + delay_s
        if delay_s == 0 and self._free_at_s <= loop.time():
            self._transmit(answers, peer)
        else:
            loop.call_at(self._free_at_s, self._transmit, answers, peer)

    def _transmit(self, answers: list[bytes], peer: Peer) -> None:
        if self._transport is not None:
            for answer in answers:
                self._transport.sendto(answer, peer)


class _Endpoint(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Peer], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        self._received(data, addr)
