"""The command ``energy-bmcsim serve``: what it prints, whom it trusts, how it ends."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import pytest

from support.bmcsim import FLEET, PASSWORD, basic, serving
from support.tools import need

DELL = '[[bmc]]\nid = "a"\nprotocol = "redfish"\npayload = "dell-r640-idrac9"\npower = { constant_w = 200 }\n'
POWER = "/redfish/v1/Chassis/System.Embedded.1/Power"


@pytest.fixture
def spec_file(tmp_path):
    file = tmp_path / "sim.toml"
    file.write_text(
        FLEET.replace(PASSWORD, "{env=BMC_PASSWORD}")
        + DELL
        + DELL.replace('"a"', '"expired"')
        + 'certificate = "expired"\n'
        + DELL.replace('"a"', '"wrong-host"')
        + 'certificate = "wrong-host"\n'
        + DELL.replace('"a"', '"self-signed"')
        + 'certificate = "self-signed"\n'
        + DELL.replace('"a"', '"weak-key"')
        + 'certificate = "weak-key"\n'
        + '[[bmc]]\nid = "i"\nprotocol = "ipmi"\npower = { constant_w = 212 }\n'
    )
    return file


def get(listing, bmc, path, context=None):
    """Return status and parsed body, over TLS that is checked against the CA of the listing."""
    context = context or ssl.create_default_context(cafile=listing["ca_file"])
    connection = http.client.HTTPSConnection(bmc["address"], bmc["port"], context=context, timeout=60)
    try:
        connection.request("GET", path, headers=basic())
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def ask(listing, path, **query):
    control = urllib.parse.urlsplit(listing["control"])
    connection = http.client.HTTPConnection(control.hostname, control.port, timeout=60)
    try:
        connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def test_listing_certificates_truth_and_end(spec_file):
    """One run over real HTTPS: what is printed is true, and closing stdin ends it with 0."""
    started_ns = time.time_ns()
    with serving(spec_file, BMC_PASSWORD=PASSWORD) as command:
        listing = command.listing
        assert set(listing) == {"control", "ca_file", "bmcs"}
        bmc = command.bmc("a")
        assert bmc["url"] == f"https://127.0.0.1:{bmc['port']}"
        status, body = get(listing, bmc, POWER)
        assert (status, body["PowerControl"][0]["PowerConsumedWatts"]) == (200, 200)
        pem = ssl.get_server_certificate(("127.0.0.1", bmc["port"]))
        assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() == bmc["certificate_sha256"]
        ipmi = command.bmc("i")
        assert (ipmi["protocol"], ipmi["url"], ipmi["certificate_sha256"]) == ("ipmi", None, None)
        truth = ask(listing, "/truth", server="a", **{"from": started_ns, "to": started_ns + 10**9})
        assert truth == {
            "server": "a", "from": started_ns, "to": started_ns + 10**9,
            "energy_j": pytest.approx(200), "mean_w": pytest.approx(200),
        }  # fmt: skip
        for bad in ("expired", "wrong-host", "self-signed", "weak-key"):
            with pytest.raises(ssl.SSLCertVerificationError):
                get(listing, command.bmc(bad), POWER)
        assert get(listing, bmc, POWER)[0] == 200  # broken handshakes leave no trace
        out, err = command.process.communicate(timeout=60)
        assert (command.process.returncode, out, err) == (0, "", "")
        assert not Path(listing["ca_file"]).parent.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_with_0(spec_file, number):
    with serving(spec_file, BMC_PASSWORD=PASSWORD) as command:
        command.process.send_signal(number)
        # wait() and not communicate(): stdin stays open, so it is the signal that ends it.
        assert command.process.wait(timeout=60) == 0
        assert not Path(command.listing["ca_file"]).parent.exists()


def test_a_mistake_ends_with_2_and_one_line(tmp_path):
    spec_file = tmp_path / "sim.toml"
    spec_file.write_text(DELL + "prot = 1\n")
    ended = run("serve", "--spec", str(spec_file))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"energy-bmcsim: {spec_file}: [[bmc]] 'a': unknown key 'prot'")
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        spec_file = tmp_path / "sim.toml"
        spec_file.write_text(DELL + f"port = {port}\n")
        ended = run("serve", "--spec", str(spec_file))
    assert ended.returncode == 2
    assert f"key 'port' is {port}, which cannot be bound" in ended.stderr


def test_text_output_names_every_bmc(tmp_path):
    spec_file = tmp_path / "sim.toml"
    spec_file.write_text(DELL)
    ended = run("serve", "--spec", str(spec_file))  # stdin is empty: it ends at once
    assert ended.returncode == 0
    assert ended.stdout.startswith("a  redfish    https://127.0.0.1:")


def test_payloads_and_faults_are_listed():
    assert "dell-r640-idrac9" in run("payloads").stdout
    assert "hpe-dl385-busy" in run("payloads").stdout
    assert "redirect_slash: " in run("faults").stdout


def test_an_ipmi_bmc_of_the_fleet_answers_ipmitool(spec_file):
    ipmitool = need("ipmitool")
    with serving(spec_file, BMC_PASSWORD=PASSWORD) as command:
        ended = subprocess.run(
            [ipmitool, "-I", "lanplus", "-C", "17", "-N", "2", "-R", "2", "-H", "127.0.0.1",
             "-p", str(command.bmc("i")["port"]), "-U", "monitor", "-E", "dcmi", "power", "reading"],
            capture_output=True, text=True, timeout=120, check=True,
            env={**os.environ, "IPMI_PASSWORD": PASSWORD},
        )  # fmt: skip
        assert "212 Watts" in ended.stdout
        assert ask(command.listing, "/stats")["i"]["log_ins"] == 1


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "energyrecorder_bmcsim", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
