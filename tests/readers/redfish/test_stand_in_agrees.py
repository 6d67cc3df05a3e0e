"""What stands in for a total shows the same power, also when a plan is renewed over many polls."""

from __future__ import annotations

import pytest

from support.redfish_bench import POWER, ROOT, Bench, control, ref, tree, two_nodes, values


@pytest.mark.parametrize(("part", "stands_in"), [(90, False), (190, True)])
async def test_values_that_a_renewal_reads_minutes_apart_tell_nothing_of_one_another(part, stands_in):
    """What showed the same power before still does; a part that looks like the whole before does not."""
    bench = Bench(tree(control(200), environment={}, sensor=part))
    await bench.poll()
    watts = iter([100, 100, 1000, 1000])
    asked = await bench.renew(4, lambda: bench.documents.update({POWER: control(next(watts))}))
    assert asked == [POWER]
    bench.documents[POWER] = control(None)
    poll, _ = await bench.poll()
    assert values(poll) == ([("sensor", 190.0)] if stands_in else [])


async def test_a_renewal_while_a_node_has_no_value_keeps_what_stands_in_for_it():
    """A BMC of two nodes, one of them off when it is walked again."""
    bench = Bench(two_nodes())
    await bench.poll()
    off, on = ({"Id": "A", "PowerState": state} for state in ("Off", "On"))
    bench.documents.update({f"{ROOT}/Chassis/A/Power": control(None), f"{ROOT}/Systems/A": off})
    await bench.renew(6)
    bench.documents[f"{ROOT}/Systems/A"] = on
    poll, _ = await bench.poll()
    assert values(poll)[0] == ("environment_metrics", 293.0)


async def test_a_renewal_of_many_requests_ends_though_polls_are_a_minute_apart():
    """A BMC without sessions that lists eighty chassis is not walked for ever."""
    bench = Bench(tree(control(200)))
    for number in range(80):
        path = f"{ROOT}/Chassis/Module_{number}"
        bench.documents[path] = {"Id": f"Module_{number}", "ChassisType": "Module"}
        bench.documents[f"{ROOT}/Chassis"]["Members"].append(ref(path))
    await bench.poll()
    made_ns = bench.reader._planner.plan.made_ns
    assert await bench.renew(30) == [POWER]
    assert bench.reader._planner.plan.made_ns > made_ns


async def test_supplies_that_repeat_the_total_stand_in_once_not_four_times():
    """One of four that was renewed a moment later makes no parts of them."""
    live = {"LastPowerOutputWatts": 894}
    power = control(894) | {"PowerSupplies": [live] * 4}
    bench = Bench(tree(power))
    await bench.poll()
    bench.documents[POWER] = control(None) | {"PowerSupplies": [live] * 4}
    poll, _ = await bench.poll()
    assert values(poll) == [("psu_output_sum", 894.0)]
    bench.documents[POWER] = control(None) | {"PowerSupplies": [live] * 3 + [{"LastPowerOutputWatts": 893}]}
    poll, _ = await bench.poll()
    assert (values(poll), poll.error) == ([], "no_reading")


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_sum_stands_in_only_with_all_the_supplies_that_it_had(lost):
    """An empty bay is none of them; one of two that shows nothing for once would leave half of the power."""
    inputs = [98, 104, None]
    power = {"PowerSupplies": [{"PowerInputWatts": watts} for watts in inputs]}
    bench = Bench(tree(control(200) | power))
    await bench.poll()
    bench.documents[POWER] = control(None) | power
    poll, _ = await bench.poll()
    assert values(poll) == [("psu_input_sum", 202.0)]
    power["PowerSupplies"][lost]["PowerInputWatts"] = None
    poll, _ = await bench.poll()
    assert (values(poll), poll.error) == ([], "no_reading")
