"""Power supplies whose sum is the only power: one that shows nothing, and those that are equal for once."""

from __future__ import annotations

import pytest

from energyrecorder_execd.readers.redfish.rediscovery import RETURN_S
from support.redfish_bench import CHASSIS, POWER, Bench, ref, tree, values


def supplies(*inputs):
    """Return a Power resource whose only power is that of its supplies."""
    return {"PowerSupplies": [{"PowerInputWatts": watts} for watts in inputs]}


async def test_one_poll_without_one_supply_has_no_total():
    """And names what is missing; the next one has it again, without a walk."""
    bench = Bench(tree(supplies(98, 104)))
    assert values((await bench.poll())[0]) == [("psu_input_sum", 202.0)]
    bench.documents[POWER] = supplies(98, None)
    poll, _ = await bench.poll()
    message = f"{POWER}: only 1 of 2 power supplies show their input"
    assert (values(poll), poll.error, poll.message) == ([], "no_reading", message)
    bench.documents[POWER] = supplies(98, 104)
    poll, asked = await bench.poll()
    assert (values(poll), asked) == ([("psu_input_sum", 202.0)], [POWER])


async def test_another_source_stands_in_for_a_sum_that_lacks_a_supply():
    """Nothing of the power is lost."""
    bench = Bench(tree(supplies(98, 104)))
    bench.documents[POWER]["PowerSupplies"][0]["LastPowerOutputWatts"] = 93
    bench.documents[POWER]["PowerSupplies"][1]["LastPowerOutputWatts"] = 97
    await bench.poll()
    bench.documents[POWER]["PowerSupplies"][1]["PowerInputWatts"] = None
    assert values((await bench.poll())[0]) == [("psu_output_sum", 190.0)]


@pytest.mark.parametrize("there", [(98,), (98, None)])
async def test_a_supply_that_stays_away_is_left_out_after_the_second_poll(there):
    """Taken out, or without a sensor from now on; when it is back it counts at once."""
    bench = Bench(tree(supplies(98, 104)))
    await bench.poll()
    bench.documents[POWER] = supplies(*there)
    shown = [values((await bench.poll())[0]) for _ in range(3)]
    assert shown == [[], [("psu_input_sum", 98.0)], [("psu_input_sum", 98.0)]]
    bench.documents[POWER] = supplies(98, 104)
    assert values((await bench.poll())[0]) == [("psu_input_sum", 202.0)]
    bench.documents[POWER] = supplies(98, None)
    assert values((await bench.poll())[0]) == []


async def test_a_total_that_every_supply_repeats_needs_only_one_of_them():
    """There is nothing that the silent one would add."""
    bench = Bench(tree(supplies(200, 200)))
    await bench.poll()
    bench.documents[POWER] = supplies(200, None)
    assert values((await bench.poll())[0]) == [("psu_input_sum", 200.0)]


async def test_what_is_remembered_counts_after_a_restart():
    """Else the first poll of a new process would show half."""
    before = Bench(tree(supplies(98, 104)))
    await before.poll()
    bench = Bench(tree(supplies(98, None)), facts=before.facts)
    assert values((await bench.poll())[0]) == []


@pytest.mark.parametrize("restart", [False, True])
async def test_supplies_that_are_equal_while_the_bmc_is_walked_again_are_still_parts(restart):
    """Every tenth time two of them draw the same whole watts; they were seen to differ."""
    bench = Bench(tree(supplies(98, 104)))
    await bench.poll()
    bench.documents[POWER] = supplies(101, 101)
    if restart:
        bench = Bench(bench.documents, facts=bench.facts)
        bench.clock.ahead_s = RETURN_S + 1
    else:
        await bench.renew(6)
    shown = [values((await bench.poll())[0]) for _ in range(6)]
    assert shown == [[("psu_input_sum", 202.0)]] * 6


def at_mains(*inputs):
    """Return the same with the voltage of the mains; None is a supply that has one and shows no power."""
    shown = [{"PowerInputWatts": watts, "LineInputVoltage": 230} for watts in inputs]
    return {"PowerSupplies": shown}


async def test_a_supply_at_its_mains_that_shows_nothing_at_first_leaves_no_total():
    """Half of the power is none; the first value of the other half is read at once, without a walk."""
    bench = Bench(tree(at_mains(98, None)))
    for _ in range(4):
        poll, _ = await bench.poll()
        message = f"{POWER}: only 1 of 2 power supplies show their input"
        assert (values(poll), poll.error, poll.message) == ([], "no_reading", message)
    bench.documents[POWER] = at_mains(98, 104)
    poll, asked = await bench.poll()
    assert (values(poll), asked) == ([("psu_input_sum", 202.0)], [POWER])
    bench.documents[POWER] = at_mains(98, None)
    assert [values((await bench.poll())[0]) for _ in range(4)] == [[]] * 4


async def test_the_outputs_count_while_an_input_is_not_shown():
    """All of them are there."""
    bench = Bench(tree(at_mains(98, None)))
    for supply, watts in zip(bench.documents[POWER]["PowerSupplies"], (93, 97), strict=True):
        supply["LastPowerOutputWatts"] = watts
    assert values((await bench.poll())[0]) == [("psu_output_sum", 190.0)]


@pytest.mark.parametrize(
    ("power", "watts"),
    [
        # An empty bay: enabled, without power and without mains (Supermicro SYS-821GE).
        ({"PowerSupplies": [*at_mains(98, 104)["PowerSupplies"], {"LineInputVoltage": None}]}, 202.0),
        # A total that each of them repeats.
        (at_mains(894, 894, None), 894.0),
    ],
)
async def test_what_shows_nothing_may_add_nothing(power, watts):
    """Then the total is read from the first poll on."""
    assert values((await Bench(tree(power)).poll())[0]) == [("psu_input_sum", watts)]


async def test_metrics_of_a_supply_at_its_mains_that_show_no_power_leave_no_total():
    """In the newer model each supply has a resource of its own."""
    subsystem = f"{CHASSIS}/PowerSubsystem"
    bench = Bench(tree())
    bench.documents[CHASSIS]["PowerSubsystem"] = ref(subsystem)
    members = [f"{subsystem}/PowerSupplies/{number}" for number in range(2)]
    bench.documents |= {
        subsystem: {"PowerSupplies": ref(f"{subsystem}/PowerSupplies")},
        f"{subsystem}/PowerSupplies": {"Members": [ref(path) for path in members]},
        **{path: {"Metrics": ref(f"{path}/Metrics")} for path in members},
        f"{members[0]}/Metrics": {"InputPowerWatts": {"Reading": 98}, "InputVoltage": {"Reading": 230}},
        f"{members[1]}/Metrics": {"InputVoltage": {"Reading": 230}},
    }
    assert values((await bench.poll())[0]) == []
    bench.documents[f"{members[1]}/Metrics"]["InputPowerWatts"] = {"Reading": 104}
    assert values((await bench.poll())[0]) == [("psu_input_sum", 202.0)]
