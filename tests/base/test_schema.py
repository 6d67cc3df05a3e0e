"""The schema is the single source of names; it refuses what it does not know and fixes every type."""

from __future__ import annotations

import pytest

from energyrecorder import schema


def test_a_point_of_power():
    """Tags are sorted, fields typed, absent ones left out."""
    power = schema.measurement(schema.SERVER_POWER)
    line = power.line(
        {"env": "pod1", "server": "n1", "scope": "server", "part": None, "rack": "r7"},
        {"watts": 212, "window_s": None, "clock": "poll", "backfill": 0},
        1,
    )
    assert (
        line == 'server_power,env=pod1,rack=r7,scope=server,server=n1 watts=212.0,clock="poll",backfill=0i 1'
    )


@pytest.mark.parametrize(
    ("tags", "fields", "error", "message"),
    [
        ({"protocol": "ipmi"}, {"watts": 1.0}, ValueError, "server_power has no tag 'protocol'"),
        ({}, {"volts": 1.0}, ValueError, "server_power has no field 'volts'"),
        ({}, {"watts": "1"}, TypeError, "server_power.watts is float, not str"),
        ({}, {"watts": True}, TypeError, "server_power.watts is float, not bool"),
        ({}, {"backfill": 1.0}, TypeError, "server_power.backfill is int, not float"),
        ({}, {"clock": 1}, TypeError, "server_power.clock is str, not int"),
    ],
)
def test_what_is_not_in_the_schema_is_refused(tags, fields, error, message):
    """A wrong name or type never leaves the house."""
    with pytest.raises(error, match=message):
        schema.measurement(schema.SERVER_POWER).line(tags, fields)


def test_names_that_grafana_reads_specially_are_used_by_marks_and_steps_only():
    """No name contains text, tags or title except the annotation's own fields."""
    special = ("text", "tags", "title")
    allowed = {schema.ENERGY_STEPS, schema.ENERGY_MARKS}
    for measurement in schema.MEASUREMENTS:
        names = [*measurement.tags, *(field.name for field in measurement.fields)]
        for name in names:
            if measurement.name not in allowed or name not in special:
                assert not any(word in name for word in special), (measurement.name, name)


def test_a_field_has_one_type_wherever_it_appears():
    """Two measurements never give one field name two types."""
    kinds: dict[str, str] = {}
    for measurement in schema.MEASUREMENTS:
        for field in measurement.fields:
            assert kinds.setdefault(field.name, field.kind) == field.kind, field.name
            assert field.help


def test_static_tags_only_where_a_server_is_described():
    """Steps carry no rack: only measurements of servers take the static tags."""
    with_tags = {m.name for m in schema.MEASUREMENTS if m.static_tags}
    assert with_tags == {"server_power", "server_bmc", "server_info", "server_sensor"}
    with pytest.raises(ValueError, match="has no tag 'rack'"):
        schema.measurement(schema.ENERGY_STEPS).line({"rack": "r"}, {"state": "running"})
