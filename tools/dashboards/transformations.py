"""What Grafana makes of the answers of a panel: one table, further columns, an order."""

from __future__ import annotations

from dashboards import Json

WITHOUT_TIME = {"id": "filterFieldsByName", "options": {"exclude": {"names": ["Time"]}}}


def joined(by: str, mode: str) -> list[Json]:
    """Return the transformations that make one table of several, without their times.

    Args:
        by: The column whose values belong together.
        mode: ``outer`` for a row per value, ``inner`` for values alone that are in all of them, ``outerTabular`` for a
            row per pair of rows.
    """
    return [WITHOUT_TIME, {"id": "joinByField", "options": {"byField": by, "mode": mode}}]


def merged(*, descending: bool = False) -> list[Json]:
    """Return the transformations that put the rows of several answers into one table, by their times."""
    return [{"id": "merge", "options": {}}, sorted_by("Time", descending=descending)]


def calculated(name: str, left: str, operator: str, right: str) -> Json:
    """Return the transformation that adds a column made of two; neither may miss a value."""
    halves = {"left": left, "operator": operator, "right": right}
    options = {"mode": "binary", "binary": halves, "alias": name, "replaceFields": False}
    return {"id": "calculateField", "options": options}


def sorted_by(field: str, *, descending: bool) -> Json:
    """Return the transformation that sorts the rows of a table by a column."""
    return {"id": "sortBy", "options": {"sort": [{"field": field, "desc": descending}]}}
