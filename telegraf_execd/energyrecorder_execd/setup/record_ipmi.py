"""What an IPMI BMC answered as a test case: requests and answers as hex, without serial numbers (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from energyrecorder_execd.fleet.render import toml_value
from energyrecorder_execd.readers.ipmi import IpmiExchange
from energyrecorder_execd.readers.ipmi.fru import READ, without_serials
from energyrecorder_execd.readers.ipmi.transport import NETFN_STORAGE
from energyrecorder_execd.setup.conversation import Conversation

_OPTIONS = ("cipher_suite", "bridge", "privilege", "sensor")
_READ_FRU = (NETFN_STORAGE, READ)


def ipmi_answers(exchanges: Sequence[IpmiExchange]) -> dict[str, list[str]]:
    """Return request → its answers in their order, as `energy-bmcsim` gives them again.

    Serial numbers stand in the FRU inventory: what is neither maker nor model there is replaced, and what
    cannot be understood is left out. A repeated answer stands once.

    Args:
        exchanges: In order; a request without an answer is left out.
    """
    inventory = without_serials(_inventory(exchanges))
    found: dict[str, list[str]] = {}
    for exchange in exchanges:
        answer = exchange.answer_text()
        if (exchange.netfn, exchange.command) == _READ_FRU and isinstance(exchange.outcome, bytes):
            answer = _clean_fru_answer(exchange, inventory)
        if answer is None:
            continue
        answers = found.setdefault(exchange.request_text(), [])
        if not answers or answers[-1] != answer:
            answers.append(answer)
    return found


def ipmi_description(talk: Conversation) -> str:
    """Return the tables ``[bmc]`` and ``[server]`` of a recorded BMC."""
    facts = talk.facts.get("ipmi")
    suite = facts.get("suite") if isinstance(facts, dict) else None
    options = talk.server.target.options
    bmc = ["[bmc]", 'protocol = "ipmi"', *([] if suite is None else [f"suites = [{suite}]"])]
    server = ["[server]", 'protocol = "ipmi"']
    server += [f"{key} = {toml_value(options[key])}" for key in _OPTIONS if options.get(key)]
    return "\n".join([*bmc, "", *server]) + "\n"


def _inventory(exchanges: Sequence[IpmiExchange]) -> dict[int, int]:
    """Return offset → byte of what was read of the FRU inventory."""
    read: dict[int, int] = {}
    for exchange in exchanges:
        if (exchange.netfn, exchange.command) == _READ_FRU and isinstance(exchange.outcome, bytes):
            offset = int.from_bytes(exchange.data[1:3], "little")
            read |= dict(enumerate(exchange.outcome[1:], offset))
    return read


def _clean_fru_answer(exchange: IpmiExchange, inventory: dict[int, int]) -> str | None:
    """Return the answer to Read FRU Data (IPMI 2.0 §34.2) with bytes that may be passed on; None without."""
    offset = int.from_bytes(exchange.data[1:3], "little")
    count = len(exchange.outcome) - 1 if isinstance(exchange.outcome, bytes) else 0
    places = range(offset, offset + count)
    if count < 1 or not all(place in inventory for place in places):
        return None
    return bytes((0, count, *(inventory[place] for place in places))).hex()
