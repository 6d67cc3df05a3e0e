"""The control port: truth, power, stats, and refusals that say what is allowed."""

from __future__ import annotations

import pytest

from support.bmcsim import simulated

NS_PER_S = 10**9
FLEET_OF_TWO = "".join(
    f'[[bmc]]\nid = "{name}"\nprotocol = "ilo5"\npower = {{ steps = [[0, {power_w}], [5, 0]] }}\n'
    for name, power_w in (("a", 200), ("b", 300))
)


async def test_truth_of_one_of_several_and_of_all(tmp_path):
    async with simulated(tmp_path, FLEET_OF_TWO) as sim:
        from_ns = sim.fleet.spec.start_ns
        times = {"from": from_ns, "to": from_ns + 10 * NS_PER_S}
        one = await sim.ask("/truth", server="a", **times)
        assert one == {"server": "a", **times, "energy_j": pytest.approx(1000), "mean_w": pytest.approx(100)}
        everything = await sim.ask("/truth", server="*", **times)
        assert everything["energy_j"] == pytest.approx(2500)
        assert everything["servers"] == {"a": pytest.approx(1000), "b": pytest.approx(1500)}
        query = [("server", "a"), ("server", "b"), *times.items()]
        async with sim.client.get(f"{sim.control}/truth", params=query) as answer:
            assert (await answer.json())["servers"] == everything["servers"]


async def test_truth_includes_a_reboot_begun_by_hand(tmp_path):
    async with simulated(
        tmp_path, '[[bmc]]\nid = "a"\nprotocol = "ilo5"\npower = { constant_w = 200 }\n'
    ) as sim:
        order = await sim.order("/reboot", {"server": "*", "off_s": 4, "standby_w": 10})
        assert order["servers"] == ["a"]
        times = {"from": order["from"] - NS_PER_S, "to": order["to"] + NS_PER_S}
        assert (await sim.ask("/truth", server="a", **times))["energy_j"] == pytest.approx(440)


async def test_power_at_a_moment(tmp_path):
    async with simulated(tmp_path, FLEET_OF_TWO) as sim:
        at_ns = sim.fleet.spec.start_ns + NS_PER_S
        assert await sim.ask("/power", server="a", at=at_ns) == {
            "server": "a", "at": at_ns, "watts": 200, "host": "on",
        }  # fmt: skip
        assert (await sim.ask("/power", server="*", at=at_ns))["servers"]["b"]["watts"] == 300


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "expected"),
    [
        ("GET", "/truth?from=1&to=2", None, 400, "missing 'server'"),
        ("GET", "/truth?server=c&from=1&to=2", None, 404, "server is 'c'; allowed: *, a, b"),
        ("GET", "/truth?server=a&from=1", None, 400, "'to' is None; allowed: nanoseconds"),
        ("GET", "/truth?server=a&from=2&to=1", None, 400, "'to' is before 'from'"),
        ("GET", "/truth?server=a&from=x&to=1", None, 400, "'from' is 'x'; allowed: nanoseconds"),
        ("GET", f"/truth?server=a&from=1&to={10**20}", None, 400, "at most a day ahead"),
        ("POST", "/reboot", {"server": "a", "off": 3}, 400, "POST /reboot: unknown key 'off'"),
        ("POST", "/reboot", [], 400, "the body must be a JSON object"),
        ("POST", "/fault", {"server": "a", "kind": "x"}, 400, "POST /fault: key 'kind' is 'x'"),
        ("POST", "/fault", {"server": "z", "kind": "null"}, 404, "server is 'z'"),
    ],
)
async def test_what_is_not_allowed_is_refused_by_name(tmp_path, method, path, body, status, expected):
    async with (
        simulated(tmp_path, FLEET_OF_TWO) as sim,
        sim.client.request(method, sim.control + path, json=body) as answer,
    ):
        assert answer.status == status
        assert expected in (await answer.json())["error"]


async def test_faults_of_all_bmcs_at_once(tmp_path):
    async with simulated(tmp_path, FLEET_OF_TWO) as sim:
        order = await sim.order("/fault", {"kind": "busy", "for_s": 30})
        assert order["servers"] == ["a", "b"]
        assert order["to"] - order["from"] == 30 * NS_PER_S
        for name in order["servers"]:
            async with sim.client.get(sim.url(name, "/redfish/v1")) as answer:
                assert answer.status == 503
        assert (await sim.ask("/stats"))["b"]["requests"] == 1
