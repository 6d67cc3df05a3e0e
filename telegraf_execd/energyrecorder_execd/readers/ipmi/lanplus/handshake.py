"""The log-in over a channel: channel capabilities, suites in their order, open session and RAKP 1 to 4."""

from __future__ import annotations

import secrets
from collections.abc import MutableMapping
from typing import Any

from energyrecorder.errors import BmcAuthError, BmcError
from energyrecorder_execd.readers.ipmi.lanplus import packet, rakp
from energyrecorder_execd.readers.ipmi.lanplus.channel import Channel
from energyrecorder_execd.readers.ipmi.lanplus.crypto import SUITES, SessionKeys, Suite
from energyrecorder_execd.readers.ipmi.lanplus.packet import Response
from energyrecorder_execd.readers.ipmi.lanplus.rakp import Account, Challenged, Opened, StatusError
from energyrecorder_execd.readers.ipmi.lanplus.session import SecureSession
from energyrecorder_execd.readers.ipmi.transport import NETFN_APP, Login

_HANDSHAKES = 3
# BMCs answer a repeated RAKP message badly or not at all: rather begin anew than repeat it often.
_RAKP_SENDS = 2
_GET_CHANNEL_AUTH_CAPABILITIES = 0x38
_THIS_CHANNEL = 0x0E
_EXTENDED_DATA = 0x80
_SUPPORTS_V20 = 0x02
_CAPABILITY_BYTES = 4


async def log_in(channel: Channel, login: Login, facts: MutableMapping[str, Any]) -> SecureSession:
    """Return a new session at privilege level USER or below.

    Args:
        channel: The way to the BMC.
        login: Account, suites and privilege.
        facts: What is remembered of this BMC; ``suite`` is kept here.

    Raises:
        BmcError: See `energyrecorder_execd.readers.ipmi.transport`.
    """
    account = Account(
        user=login.user_bytes(),
        password=login.password_bytes(),
        kg=login.kg_bytes(),
        privilege=login.privilege,
    )
    await channel.locate()
    channel.route(_new_id())
    await _check_capabilities(channel, login.privilege)
    return await _try_suites(channel, account, login.suites, facts)


async def _check_capabilities(channel: Channel, privilege: int) -> None:
    """Ask what the channel supports: costs the BMC nothing, and shows whether it is alive.

    A BMC that refuses the question is asked for a session all the same.
    """
    sequence = channel.next_sequence()
    message = packet.encode_request(
        netfn=NETFN_APP,
        command=_GET_CHANNEL_AUTH_CAPABILITIES,
        data=bytes((_EXTENDED_DATA | _THIS_CHANNEL, privilege)),
        sequence=sequence,
    )
    request = packet.wrap_sessionless(message)

    def match(datagram: bytes) -> Response | None:
        response = packet.decode_response(packet.unwrap_sessionless(datagram))
        wanted = response.command == _GET_CHANNEL_AUTH_CAPABILITIES and response.sequence == sequence
        return response if wanted else None

    response = await channel.exchange(lambda: request, match)
    if response is None:
        raise channel.silence("log-in")
    if response.code or len(response.data) < _CAPABILITY_BYTES:
        return
    if not response.data[1] & _EXTENDED_DATA or not response.data[3] & _SUPPORTS_V20:
        raise BmcError("the BMC speaks IPMI 1.5 only; IPMI 2.0 (RMCP+) is needed", reason="unsupported")


async def _try_suites(
    channel: Channel, account: Account, suites: tuple[int, ...], facts: MutableMapping[str, Any]
) -> SecureSession:
    remembered = facts.get("suite")
    order = sorted(suites, key=lambda number: number != remembered)
    why = ""
    silent = False
    for number in order:
        try:
            session = await _establish(channel, SUITES[number], account)
        except StatusError as error:
            if error.status not in rakp.SUITE_REFUSED:
                raise error.as_bmc_error() from None
            why = str(error)
            continue
        if session is not None:
            if not silent:  # lost packets are no reason to remember the weaker suite
                facts["suite"] = number
            return session
        why, silent = f"log-in with cipher suite {number}", True
    if silent:
        raise channel.silence(why)
    tried = ", ".join(str(number) for number in order)
    raise BmcError(f"IPMI log-in refused for cipher suite {tried}: {why}", reason="unsupported")


async def _establish(channel: Channel, suite: Suite, account: Account) -> SecureSession | None:
    """Return a session with ``suite``; None if the BMC fell silent.

    Raises:
        StatusError: Refused.
        BmcAuthError: The keys differ.
    """
    for _ in range(_HANDSHAKES):
        opened = await _open_session(channel, suite)
        if opened is None:
            return None
        try:
            challenged = await _challenge(channel, opened, account)
            keys = None if challenged is None else await _confirm(channel, challenged, account)
        except StatusError as error:
            # Our message or its answer was lost and the BMC has moved on: begin anew.
            if error.status not in rakp.SESSION_GONE:
                raise
            keys = None
        if keys is not None:
            return SecureSession(suite=suite, keys=keys, local_id=opened.local_id, remote_id=opened.remote_id)
    return None


async def _open_session(channel: Channel, suite: Suite) -> Opened | None:
    local_id = _new_id()
    channel.route(local_id)
    tag = channel.next_tag()
    request = packet.wrap_setup(
        packet.PAYLOAD_OPEN_REQUEST, rakp.open_request(tag=tag, local_id=local_id, suite=suite)
    )

    def match(datagram: bytes) -> Opened:
        payload = packet.unwrap_setup(datagram, packet.PAYLOAD_OPEN_RESPONSE)
        remote_id = rakp.parse_open_response(payload, tag=tag, local_id=local_id, suite=suite)
        return Opened(suite, local_id, remote_id, secrets.token_bytes(16))

    return await channel.exchange(lambda: request, match)


async def _challenge(channel: Channel, opened: Opened, account: Account) -> Challenged | None:
    tag = channel.next_tag()
    message = packet.wrap_setup(packet.PAYLOAD_RAKP1, rakp.rakp1(opened, account, tag=tag))

    def match(datagram: bytes) -> Challenged:
        payload = packet.unwrap_setup(datagram, packet.PAYLOAD_RAKP2)
        return rakp.parse_rakp2(payload, opened, account, tag=tag)

    try:
        return await channel.exchange(lambda: message, match, sends=_RAKP_SENDS)
    except BmcAuthError:
        abort = rakp.rakp3_abort(opened, tag=channel.next_tag())
        channel.send(packet.wrap_setup(packet.PAYLOAD_RAKP3, abort))
        raise


async def _confirm(channel: Channel, challenged: Challenged, account: Account) -> SessionKeys | None:
    tag = channel.next_tag()
    message = packet.wrap_setup(packet.PAYLOAD_RAKP3, rakp.rakp3(challenged, account, tag=tag))

    def match(datagram: bytes) -> SessionKeys:
        payload = packet.unwrap_setup(datagram, packet.PAYLOAD_RAKP4)
        return rakp.parse_rakp4(payload, challenged, account, tag=tag)

    return await channel.exchange(lambda: message, match, sends=_RAKP_SENDS)


def _new_id() -> int:
    return secrets.randbelow(0xFFFFFFFF) + 1
