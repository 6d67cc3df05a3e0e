"""Writes ``docs/quirks.md`` from the quirk table; the page itself says by which command."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from energyrecorder_execd import quirk_places, quirks
from energyrecorder_execd.readers.ipmi import vendors

_HEAD = """\
# What is known of single BMCs

Written by `python -m energyrecorder_execd.quirks_page > docs/quirks.md`; do not edit. The table itself is
`energyrecorder_execd/quirks.py` with `quirk_places.py`, where alone the collector knows vendors. *Shown by*
names a folder of `tests/testcases`, which holds the payload and the lines that come out; where there is none,
a public report is named. What a BMC declares or what is learned from its readings comes before this table.
"""


def page() -> str:
    """Return the whole page."""
    return (
        "\n".join(
            [
                _HEAD,
                *_timings(),
                *_effects(),
                *_sensors(),
                *_places(),
                *_counters(),
                *_parts(),
                *_histories(),
                *_definitions(),
                *_sets(),
                *_ipmi_sensors(),
            ]
        ).rstrip("\n")
        + "\n"
    )


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"## {title}", "", _row(columns), _row(["---"] * len(columns))]
    return [*lines, *(_row(row) for row in rows), ""]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") or "any" for cell in cells) + " |"


def _shown(fixture: str) -> str:
    return f"`{fixture}`" if fixture else "–"  # noqa: RUF001  # a dash for the reader


def _ipmi_sensors() -> list[str]:
    def named(names: Sequence[vendors.Names]) -> str:
        return ", ".join(f"`{one.pattern}` ({one.side})" for one in names)

    return _table(
        "IPMI: which sensor is the power of the server",
        (
            "Maker",
            "IANA number",
            "Total, best first",
            "Parts to add up without a total",
            "Evidence",
        ),
        (
            (g.vendor, str(g.iana), named(g.totals) or "–", named(g.parts) or "–", g.evidence)  # noqa: RUF001  # an en dash marks an empty cell of the page
            for g in vendors.GRAMMARS
        ),
    )


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g} s"


def _timings() -> list[str]:
    return _table(
        "Refresh period and averaging window",
        ("Vendor", "Model and meter", "Source", "Refresh", "Window", "Evidence", "Shown by"),
        (
            (
                t.vendor,
                t.model,
                f"`{t.source}`",
                _seconds(t.refresh_s),
                _seconds(t.window_s),
                t.seen,
                _shown(t.fixture),
            )
            for t in quirks.TIMINGS
        ),
    )


def _effects() -> list[str]:
    def told(effects: quirks.Effects) -> str:
        said = {
            "`PowerInputWatts` of a supply is its rating": effects.supply_input_is_rating,
            "the supplies feed several computers": effects.supplies_are_shared,
            "PowerControl and meter hold a share of the enclosure: not read": effects.control_includes_share,
            f"refresh {_seconds(effects.refresh_s)}": effects.refresh_s is not None,
            f"window {_seconds(effects.window_s)}": effects.window_s is not None,
        }
        return "; ".join(text for text, holds in said.items() if holds)

    return _table(
        "By vendor, model and firmware",
        ("Vendor", "Model", "Firmware", "Effect", "Evidence", "Shown by"),
        (
            (
                *(_code(part) for part in (q.vendor, q.model, q.firmware)),
                told(q.effects),
                q.seen,
                _shown(q.fixture),
            )
            for q in quirks.QUIRKS
        ),
    )


def _sensors() -> list[str]:
    def table(title: str, rows: Iterable[quirks.TotalSensor]) -> list[str]:
        return _table(
            title,
            ("Id", "Name", "Side", "Evidence", "Shown by"),
            (
                (
                    _code(s.sensor_id.pattern),
                    _code(s.name.pattern if s.name else ""),
                    s.side,
                    s.seen,
                    _shown(s.fixture),
                )
                for s in rows
            ),
        )

    return [
        *table("Sensors that show the whole computer, best first", quirks.TOTAL_SENSORS),
        *table("Sensors that show the input of one supply", quirks.SUPPLY_SENSORS),
    ]


def _places() -> list[str]:
    kinds = (
        ("the whole computer", quirk_places.OEM_TOTALS),
        ("one node alone", quirk_places.OEM_NODES),
        ("input of a supply", quirk_places.OEM_SUPPLY_INPUTS),
    )
    return _table(
        "Vendors' own places for power",
        ("What", "Where", "Evidence", "Shown by"),
        ((what, _code(p.pointer), p.seen, _shown(p.fixture)) for what, places in kinds for p in places),
    )


def _counters() -> list[str]:
    return _table(
        "Vendors' own energy counters",
        ("Resource", "Where", "Unit", "Evidence", "Shown by"),
        (
            (_code(c.resource), _code(c.pointer), f"{c.joules:g} J", c.seen, _shown(c.fixture))
            for c in quirk_places.OEM_COUNTERS
        ),
    )


def _parts() -> list[str]:
    return _table(
        "Vendors' own places for parts",
        ("Resource", "Where", "Scope", "Part", "Evidence", "Shown by"),
        (
            (_code(p.resource) or "Power", _code(p.pointer), p.scope, p.part, p.seen, _shown(p.fixture))
            for p in quirk_places.OEM_PARTS
        ),
    )


def _histories() -> list[str]:
    return _table(
        "Averages that a BMC keeps, for holes",
        ("Resource", "Record", "Side", "Evidence", "Shown by"),
        (
            (_code(h.resource), _seconds(h.record_s), h.side, h.seen, _shown(h.fixture))
            for h in quirk_places.HISTORIES
        ),
    )


def _definitions() -> list[str]:
    return _table(
        "Metric definitions, used where they name the total's own property",
        ("Metric", "Evidence", "Shown by"),
        ((_code(d.metric), d.seen, _shown(d.fixture)) for d in quirk_places.METRIC_DEFINITIONS),
    )


def _sets() -> list[str]:
    return _table(
        "Kinds",
        ("What", "Values"),
        (
            ("chassis that are parts of a computer", _codes(quirks.COMPONENT_CHASSIS)),
            ("chassis that an enclosure feeds", _codes(quirks.FED_CHASSIS)),
            ("chassis that several computers may share", _codes(quirks.ENCLOSURE_CHASSIS)),
            ("`PhysicalContext` of a total", _codes(quirks.TOTAL_CONTEXTS)),
            ("likewise, where no entry has one of those", _codes(quirks.BOARD_CONTEXTS)),
            ("`PhysicalContext` of a part", _codes(quirks.PART_CONTEXTS)),
        ),
    )


def _code(pattern: str) -> str:
    return f"`{pattern}`" if pattern else ""


def _codes(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in sorted(values))


if __name__ == "__main__":
    sys.stdout.write(page())
