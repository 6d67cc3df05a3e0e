"""Asks a BMC whether a host is on, within the time that a reading can spare for it."""

from __future__ import annotations

import asyncio

from energyrecorder.errors import BmcAuthError, BmcError
from energyrecorder_execd.http import Answer, BmcHttp, HttpStatusError
from energyrecorder_execd.readers.host_state import limit_s, told_state


async def ask_state(
    http: BmcHttp, path: str, *, latency_s: float, at_hand: Answer | None = None
) -> str | None:
    """Return ``on``, ``off`` or ``unknown``; None if the BMC has no resource that tells just now.

    Args:
        http: The BMC.
        path: Of the resource with the host's power state.
        latency_s: Time that the BMC took to answer with the reading, seconds.
        at_hand: The resource, if this poll has got it already; None: it is asked for.

    Raises:
        BmcAuthError: The log-in was refused.
    """
    try:
        async with asyncio.timeout(limit_s(latency_s)):
            answer = at_hand or await http.get(path)
    except BmcAuthError:
        raise
    except HttpStatusError as error:
        return None if error.absent else "unknown"
    except (BmcError, TimeoutError):
        return "unknown"
    return told_state(answer.document)
