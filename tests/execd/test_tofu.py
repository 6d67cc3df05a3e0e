"""A certificate that ``once`` trusted on first use is the one that is trusted from then on."""

from __future__ import annotations

import json
import re

import pytest

from energyrecorder_execd.server_locks import ServerLocks
from support.bmcsim import FLEET, serving
from support.execd import once, write_fleet


@pytest.fixture
def poll(tmp_path, free_tcp_port):
    """Poll a BMC that has a new certificate each time, at the same place."""
    spec = tmp_path / "sim.toml"
    spec.write_text(
        f'{FLEET}[[bmc]]\nid = "d"\nprotocol = "redfish"\npayload = "dell-r640-idrac9"\n'
        f'certificate = "self-signed"\nport = {free_tcp_port}\n',
        encoding="utf-8",
    )

    def _poll(protocol="redfish"):
        with serving(spec) as sim:
            fleet = write_fleet(tmp_path, sim, {"d": {"protocol": protocol, "tls": "tofu"}})
            return sim.bmc("d")["certificate_sha256"], once(fleet, tmp_path / "state")

    return _poll


@pytest.mark.parametrize("protocol", ["redfish", "ilo", "auto"])
def test_another_certificate_is_an_error_the_second_time(poll, protocol, tmp_path):
    """It names old and new; nothing else is remembered, so that a run still has its first poll.

    It is the server's: another protocol trusts no other one.
    """
    first, done = poll()
    assert done.returncode == 0
    kept = json.loads((tmp_path / "state" / "execd" / "servers" / "d.json").read_text(encoding="utf-8"))
    assert kept["facts"] == {"pin": first}
    second, done = poll(protocol)
    assert done.returncode == 4
    assert re.search(rf"certificate changed from sha256:{first} to sha256:{second}", done.stderr)


def test_a_certificate_that_an_earlier_version_trusted_by_another_protocol_is_the_only_one(poll, tmp_path):
    """Its file is read, not trusted anew."""
    first, _ = poll()
    path = tmp_path / "state" / "execd" / "servers" / "d.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(kept | {"facts": {"redfish": {"pin": first}}}), encoding="utf-8")
    second, done = poll("ilo")
    assert re.search(rf"certificate changed from sha256:{first} to sha256:{second}", done.stderr)


def test_the_file_of_a_run_is_left_alone(poll, tmp_path):
    """It trusts for itself."""
    folder = tmp_path / "state" / "execd"
    folder.mkdir(mode=0o700, parents=True)
    locks = ServerLocks(folder)
    locks.acquire(["d"])
    assert poll()[1].returncode == 0
    assert not (folder / "servers" / "d.json").exists()
    locks.close()
