"""Writes energies into a JUnit file that another tool wrote, as properties of its test cases."""

from __future__ import annotations

import os
from typing import Dict, Mapping
from xml.etree import ElementTree as ET  # a file that this session has just written

from energyrecorder.figures import one_line
from energyrecorder.integrations.run_results import MEASURED, StepResult

_LONGEST_REASON = 200


def add_energy(path: str, results: Mapping[str, StepResult], *, key: str) -> int:
    """Add what is known of the energy beside each property ``key``; return how many there were.

    As in the annotator's own file: ``energy_quality``, ``energy_reason``, and, of what was measured,
    ``energy_j`` and ``energy_u95_j``. The file is replaced in one piece: a reader never sees half of it.

    Args:
        path: The JUnit file.
        results: By the value of the property ``key``.
        key: Name of the property that holds a step's id.

    Raises:
        OSError: The file cannot be read or written.
        xml.etree.ElementTree.ParseError: It is not XML.
    """
    tree = ET.parse(path)  # noqa: S314  # as above
    found = 0
    for properties in tree.iter("properties"):
        ids = [item.get("value") for item in properties if item.get("name") == key]
        result = results.get(ids[0] or "") if ids else None
        if result is None:
            continue
        found += 1
        for name, value in _values(result).items():
            ET.SubElement(properties, "property", {"name": name, "value": value})
    if found:
        temporary = f"{path}.energy"
        tree.write(temporary, encoding="utf-8", xml_declaration=True)
        os.replace(temporary, path)  # noqa: PTH105  # paths are texts here
    return found


def _values(result: StepResult) -> Dict[str, str]:
    values = {"energy_quality": result.quality}
    if result.reason:
        values["energy_reason"] = one_line(result.reason, _LONGEST_REASON)
    if result.quality in MEASURED and result.energy_j is not None:
        values["energy_j"] = f"{result.energy_j:.6g}"
        if result.u95_j is not None:
            values["energy_u95_j"] = f"{result.u95_j:.6g}"
    return values
