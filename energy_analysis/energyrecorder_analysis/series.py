"""The readings of one server, cleaned: sorted, one value per time stamp, missing ones kept as missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STOOD_IN_SHARE = 0.05
"""A source with a smaller share of the readings stood in for the usual one now and then: it decides neither
over the side nor over the accuracy, nor does it make a result another sensor's."""


class PowerRow(NamedTuple):
    """One reading as storage gives it; the fields are those of ``server_power``.

    Args:
        time_ns: Nanoseconds since the Unix epoch, UTC; end of the averaging window (``clock="bmc"``) or
            middle of the request (``clock="poll"``).
        watts: The power; None (also nan) is a missing reading, never zero.
        window_s: Averaging window; 0 is instantaneous, None unknown.
        refresh_s: Period at which the BMC renews the value; None unknown.
        quantum_w: Step of the readings; None unknown.
        clock: ``bmc`` or ``poll``.
        source: Which of the server's sources was read, such as ``dcmi``; None unknown.
        side: Side of the power supply: ``ac``, ``dc``; anything else is unknown.
        accuracy_pct: Accuracy that the BMC declares, in percent of the reading; None unknown.
    """

    time_ns: int
    watts: float | None
    window_s: float | None = None
    refresh_s: float | None = None
    quantum_w: float | None = None
    clock: str | None = "poll"
    source: str | None = None
    side: str | None = None
    accuracy_pct: float | None = None


class SourceFacts(NamedTuple):
    """What readings of one source have in common; the fields are those of `PowerRow`."""

    window_s: float | None = None
    refresh_s: float | None = None
    quantum_w: float | None = None
    clock: str | None = "poll"
    source: str | None = None
    side: str | None = None
    accuracy_pct: float | None = None


@dataclass(frozen=True, slots=True)
class PowerSeries:
    """All readings of one server that may be used, in order of time.

    Args:
        server: Server id.
        time_ns: Strictly increasing nanoseconds since the Unix epoch, UTC.
        watts: Same length; nan is a missing reading, 0 is a host that is off.
        window_s: Averaging window of each reading; nan is unknown.
        refresh_s: Refresh period of each reading; nan is unknown.
        quantum_w: Step of each reading; nan is unknown.
        bmc_clock: True where the BMC stamped the record, False where the poll did.
        source: Source of each reading as an index into ``sources``.
        sources: Names of the sources.
        side: ``ac`` or ``dc`` where all readings agree, ``mixed`` where not, None unknown.
        accuracy_pct: Worst declared accuracy, in percent of the reading; None when any is unknown.
    """

    server: str
    time_ns: Ints
    watts: Floats
    window_s: Floats
    refresh_s: Floats
    quantum_w: Floats
    bmc_clock: Bools
    source: Ints
    sources: tuple[str, ...]
    side: str | None
    accuracy_pct: float | None

    @classmethod
    def from_rows(cls, server: str, rows: Iterable[PowerRow]) -> PowerSeries:
        """Return the cleaned series of ``rows``, which may come in any order and more than once.

        A record read twice has the same time stamp twice; the valid reading that came last is kept.

        Args:
            server: Server id.
            rows: `PowerRow` or plain tuples of its fields in its order, all of them.
        """
        columns = list(zip(*rows, strict=True))
        if not columns:
            columns = [()] * len(PowerRow._fields)
        time_ns = np.array(columns[0], dtype=np.int64)
        watts = _optional(columns[1])
        # A negative or infinite power is no power: such a reading is missing.
        watts = np.where(np.isfinite(watts) & (watts >= 0), watts, np.nan)
        kept = _last_valid_of_each(time_ns, watts)
        sources, source = _indexed(columns[6])
        valid = ~np.isnan(watts)
        valid &= np.isin(source, usual(source[valid]))
        return cls(
            server=server,
            time_ns=time_ns[kept],
            watts=watts[kept],
            window_s=_positive_or_zero(columns[2])[kept],
            refresh_s=_positive(columns[3])[kept],
            quantum_w=_positive(columns[4])[kept],
            bmc_clock=_is_bmc(columns[5])[kept],
            source=source[kept],
            sources=sources,
            side=_common_side(columns[7], valid),
            accuracy_pct=_worst(_positive(columns[8])[valid]),
        )

    @classmethod
    def from_columns(
        cls,
        server: str,
        time_ns: Sequence[int] | Ints,
        watts: Sequence[float | None] | Floats,
        source: Sequence[int] | Ints,
        sources: Sequence[SourceFacts],
    ) -> PowerSeries:
        """Return the same as `from_rows`, several times faster: what rarely changes comes once.

        Args:
            server: Server id.
            time_ns: Of each reading, in any order.
            watts: Of each reading; None or nan is missing.
            source: Index into ``sources`` of each reading.
            sources: What stands behind the readings.
        """
        times = np.asarray(time_ns, dtype=np.int64)
        power_w = np.asarray(watts, dtype=np.float64)
        power_w = np.where(np.isfinite(power_w) & (power_w >= 0), power_w, np.nan)
        kept = _last_valid_of_each(times, power_w)
        index = np.asarray(source, dtype=np.int64)
        used = index[kept]
        valid = index[~np.isnan(power_w)]
        names, name_of = _indexed(tuple(one.source for one in sources))
        valid_kinds = np.unique(valid)
        valid_kinds = valid_kinds[np.isin(name_of[valid_kinds], usual(name_of[valid]))]
        sides = tuple(sources[kind].side for kind in valid_kinds)
        declared_pct = _positive(tuple(one.accuracy_pct for one in sources))
        return cls(
            server=server,
            time_ns=times[kept],
            watts=power_w[kept],
            window_s=_positive_or_zero(tuple(one.window_s for one in sources))[used],
            refresh_s=_positive(tuple(one.refresh_s for one in sources))[used],
            quantum_w=_positive(tuple(one.quantum_w for one in sources))[used],
            bmc_clock=_is_bmc(tuple(one.clock for one in sources))[used],
            source=name_of[used],
            sources=names,
            side=_common_side(sides, np.ones(len(sides), dtype=np.bool_)),
            accuracy_pct=_worst(declared_pct[valid_kinds]),
        )

    def readings(self) -> PowerSeries:
        """Return the same series without its missing readings."""
        missing = np.isnan(self.watts)
        return self.take(np.flatnonzero(~missing)) if missing.any() else self

    def take(self, index: NDArray[np.intp]) -> PowerSeries:
        """Return the readings at ``index``, in its order."""
        columns = ("time_ns", "watts", "window_s", "refresh_s", "quantum_w", "bmc_clock", "source")
        return replace(self, **{name: getattr(self, name)[index] for name in columns})


def usual(source: Ints) -> Ints:
    """Return the sources, of which ``source`` names one per reading, that did not just stand in."""
    return np.flatnonzero(np.bincount(source) >= max(STOOD_IN_SHARE * source.size, 1)).astype(np.int64)


def _is_constant(column: tuple[object, ...]) -> bool:
    # Counting is much faster than converting, and what a source declares hardly ever changes.
    return len(column) > 0 and column.count(column[0]) == len(column)


def _optional(column: tuple[float | None, ...]) -> Floats:
    if _is_constant(column):
        return np.full(len(column), np.nan if column[0] is None else column[0], dtype=np.float64)
    return np.array(column, dtype=np.float64)


def _is_bmc(column: tuple[str | None, ...]) -> Bools:
    if _is_constant(column):
        return np.full(len(column), column[0] == "bmc", dtype=np.bool_)
    return np.array([clock == "bmc" for clock in column], dtype=np.bool_)


def _indexed(column: tuple[str | None, ...]) -> tuple[tuple[str, ...], Ints]:
    """Return the names in the column and, per row, which of them it is."""
    if _is_constant(column):
        return (column[0] or "",), np.zeros(len(column), dtype=np.int64)
    names = tuple(sorted({name or "" for name in column}))
    index = {name: number for number, name in enumerate(names)}
    return names, np.array([index[name or ""] for name in column], dtype=np.int64)


def _positive(column: tuple[float | None, ...]) -> Floats:
    values = _optional(column)
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _positive_or_zero(column: tuple[float | None, ...]) -> Floats:
    values = _optional(column)
    return np.where(np.isfinite(values) & (values >= 0), values, np.nan)


def _last_valid_of_each(time_ns: Ints, watts: Floats) -> NDArray[np.intp] | slice:
    """Return indices, in order of time, of one reading per time stamp."""
    if (time_ns[1:] > time_ns[:-1]).all():
        return slice(None)
    arrival = np.arange(time_ns.size)
    order = np.lexsort((arrival, ~np.isnan(watts), time_ns))
    ordered = time_ns[order]
    last = np.ones(ordered.size, dtype=np.bool_)
    last[:-1] = ordered[1:] != ordered[:-1]
    return order[last]


def _common_side(column: tuple[str | None, ...], valid: Bools) -> str | None:
    seen = (
        set(column)
        if valid.all()
        else {side for side, is_valid in zip(column, valid, strict=True) if is_valid}
    )
    if not seen or not seen <= {"ac", "dc"}:
        return None
    return seen.pop() if len(seen) == 1 else "mixed"


def _worst(accuracy_pct: Floats) -> float | None:
    if accuracy_pct.size == 0 or np.isnan(accuracy_pct).any():
        return None
    return float(accuracy_pct.max())
