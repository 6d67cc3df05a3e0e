"""Each kind of bad input over IPMI, as one `energy-execd once` prints it: nothing hangs, nothing is false."""

from __future__ import annotations

import pytest

from support.bmcsim import FLEET, PASSWORD, USER, serving
from support.execd import once, points_by_server, table

GOOD_W = 216.0
OTHER = {"user": "guest", "password": "another-secret"}


def fault(kind, **more):
    return [{"kind": kind, **more}]


# name: (keys of the BMC, keys of the server, error; None: the right watts)
KINDS = {
    "loss-10": ({"network": {"loss": 0.1}}, {}, None),
    "delay": ({"network": {"delay_s": 0.2}}, {}, None),
    "duplicates": ({"network": {"duplicate": 1.0}}, {}, None),
    "reordering": ({"network": {"reorder": 0.5}}, {}, None),
    "slow": ({"faults": fault("slow", latency_s=0.4)}, {}, None),
    "busy-twice": ({"faults": fault("completion_code", code=0xC0, count=2)}, {}, None),
    "downgrade": ({"faults": fault("suite_downgrade")}, {}, None),
    "wrong-password": ({"password": "its-own-secret"}, {"credentials": "wrong-password"}, "auth"),
    "unknown-user": ({}, {"credentials": "unknown-user"}, "auth"),
    "false-bmc": ({**OTHER, "faults": fault("rakp2_code_wrong")}, {"credentials": "false-bmc"}, "auth"),
    "false-end": (
        {"user": "ended", "faults": fault("rakp4_code_wrong")},
        {"credentials": "false-end"},
        "auth",
    ),
    "wrong-kg": (
        {"kg": "a-key-of-twenty-byte", "user": "keyed"},
        {"kg": "another-key-of-bytes", "credentials": "wrong-kg"},
        "auth",
    ),
    "low-account": (
        {"privilege_limit": 2, "user": "low"},
        {"privilege": "administrator", "credentials": "low-account"},
        "privilege",
    ),
    "low-level": ({"faults": fault("completion_code", code=0xD4)}, {}, "privilege"),
    "slots-full": ({"faults": fault("slots_full")}, {}, "session_limit"),
    "suite-refused": ({"suites": [3]}, {"cipher_suite": 17}, "unsupported"),
    "short-answer": ({"faults": fault("dcmi_short"), "sdr": False}, {}, "data"),
    "all-zero": ({"faults": fault("dcmi_zero"), "sdr": False}, {}, "no_reading"),
    "silent": ({"faults": fault("silent")}, {}, "timeout"),
}
ACCOUNTS = {
    "lab": {"user": USER, "password": "{env=BMC_PASSWORD}"},
    "wrong-password": {"user": USER, "password": "not-the-secret"},
    "unknown-user": {"user": "nobody", "password": "{env=BMC_PASSWORD}"},
    "false-bmc": OTHER,
    "false-end": {"user": "ended", "password": "{env=BMC_PASSWORD}"},
    "wrong-kg": {"user": "keyed", "password": "{env=BMC_PASSWORD}"},
    "low-account": {"user": "low", "password": "{env=BMC_PASSWORD}"},
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return one run over all kinds."""
    folder = tmp_path_factory.mktemp("bad")
    spec = folder / "sim.toml"
    base = {"protocol": "ipmi", "power": {"constant_w": GOOD_W}}
    bmcs = (table("[[bmc]]", {"id": name, **base, **bmc}) for name, (bmc, _, _) in KINDS.items())
    spec.write_text(FLEET + "".join(bmcs), encoding="utf-8")
    with serving(spec) as sim:
        text = table("[defaults]", {"env": "lab", "credentials": "lab", "timeout": "30s", "protocol": "ipmi"})
        text += "".join(table(f"[credentials.{name}]", account) for name, account in ACCOUNTS.items())
        for name, (_, server, _) in KINDS.items():
            host = {"id": name, "host": "127.0.0.1", "port": sim.bmc(name)["port"]}
            text += table("[[server]]", {**host, **server})
        fleet = folder / "fleet.toml"
        fleet.write_text(text, encoding="utf-8")
        return once(fleet, folder / "state", timeout_s=300)


@pytest.mark.parametrize("name", KINDS)
def test_what_comes_out(done, name):
    """The right watts, or none with the reason; each point is of this server."""
    error = KINDS[name][2]
    points = {point["measurement"]: point["fields"] for point in points_by_server(done.stdout)[name]}
    assert (points["server_bmc"]["error"], points["server_bmc"]["up"]) == (error or "", int(error is None))
    assert ("server_power" in points) is (error is None)
    if error is None:
        assert points["server_power"]["watts"] == GOOD_W


def test_each_trouble_is_one_line_in_the_log(done):
    """With the server's name, and no secret; the exit code says that some are down."""
    assert done.returncode == 3
    for name, (_, _, error) in KINDS.items():
        assert done.stderr.count(f"server {name!r} ") == (error is not None)
    for secret in (PASSWORD, "not-the-secret", "another-secret", "another-key-of-bytes"):
        assert secret not in done.stdout + done.stderr
