"""Fleet files made of inventories: they load, carry what can be carried, and name what cannot."""

from __future__ import annotations

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder_execd.fleet import load_fleet
from energyrecorder_execd.setup.import_csv import fleet_from_csv
from energyrecorder_execd.setup.import_pods import fleet_from_pods


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Load a text as fleet file; every variable it names is set."""
    for number in range(1, 5):
        monkeypatch.setenv("BMC_PASSWORD" if number == 1 else f"BMC_PASSWORD_{number}", f"p{number}")

    def load(text):
        path = tmp_path / "fleet.toml"
        path.write_text(text, encoding="utf-8")
        return {server.id: server for server in load_fleet(path).servers}, load_fleet(path)

    return load


INVENTORY = """\ufeffName;BMC-IP;User;Password;Type;Rack;Room;Owner;Port;interval
node 1;10.0.0.11;root;calvin;idrac;r7;b;Eve;;5s
node-2;10.0.0.12;root;calvin;redfish;r7;;;8443;soon
node-2;10.0.0.13;root;calvin;;;;;;
node-3;not a host!;root;calvin;;;;;;
node-4;10.0.0.14;admin;other;ipmi;;;;623;

node-5;[2001:db8::5]:443;;;lights-out;;;;;
"""


def test_an_inventory_becomes_a_fleet(loaded):
    """Ids, hosts, protocols, accounts and tags are carried over; passwords are not."""
    text = fleet_from_csv(INVENTORY, "inventory.csv")
    servers, fleet = loaded(text)
    assert list(servers) == ["node-1", "node-2", "node-4", "node-5"]
    assert servers["node-1"].protocol == "redfish"
    assert servers["node-1"].interval_s == 5.0
    assert servers["node-1"].tags == {"rack": "r7", "room": "b"}
    assert servers["node-1"].target.user == "root"
    assert servers["node-2"].target.port == 8443
    assert servers["node-2"].interval_s is None
    assert (servers["node-4"].protocol, servers["node-4"].target.user) == ("ipmi", "admin")
    assert servers["node-4"].target.password.reveal() == "p2"
    assert (servers["node-5"].protocol, servers["node-5"].target.address) == ("auto", "2001:db8::5")
    assert fleet.warnings == ()
    assert "calvin" not in text
    for said in ("'Owner'", "Line 4 ", "Line 5 ", "'node 1'", "'soon'", "'lights-out'", "BMC_PASSWORD_2"):
        assert said in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column for the BMC's address"),
        ("name,colour\na,red\n", "no column for the BMC's address"),
        ("name,bmc\n", "no row that names a BMC"),
        ("name,bmc\na,h:99999\n", "Line 2 was not carried over: the BMC's address is 'h:99999'; allowed: "),
        ("name,bmc\na," + "x" * 200_000, "x.csv: not CSV: field larger than"),
    ],
)
def test_a_file_that_is_no_inventory(text, message):
    """One line that says what is allowed."""
    with pytest.raises(ConfigError, match=message) as refused:
        fleet_from_csv(text, "x.csv")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("title", ["iLO IP", "iDRAC", "BMC-Hostname", "OOB IP address", "mgmt_address", "ip"])
def test_the_column_of_the_address_is_found(loaded, title):
    """Under what inventories call it; the server's own name stays its id."""
    servers, _ = loaded(fleet_from_csv(f"Hostname,{title},User\nweb-1,10.0.0.5,root\n", "i.csv"))
    assert servers["web-1"].target.address == "10.0.0.5"


def test_one_column_may_be_name_and_address(loaded):
    """A list of host names is an inventory."""
    servers, _ = loaded(fleet_from_csv("host\nbmc-1.lab\nbmc-2.lab\n", "hosts.csv"))
    assert [server.target.address for server in servers.values()] == ["bmc-1.lab", "bmc-2.lab"]


PODS = """
RECORDER_API_SERVER:
  base_url: http://recorder
PODS:
  - environment: opnfv-pod1
    polling_interval: 20
    servers:
      - {id: node1, type: ipmi, host: "172.16.0.1:0x82", user: root, pass: calvin}
      - {id: node2, type: redfish, host: 172.16.0.2, user: root, pass: calvin, power: true}
      - {id: node3, type: ilo-gui, host: 172.16.0.3, user: adm, pass: "other \\" one", active: false}
      - {id: pdu, type: snmp, host: 172.16.0.4, community: public}
  - environment: pod2
    active: false
    polling_interval: 0
    colour: red
    servers:
      - {id: node1, type: ilo, host: 172.17.0.1, user: root, pass: calvin}
      - 7
"""


def test_the_originals_yaml_becomes_a_fleet(loaded):
    """Environments, intervals, bridges and what is switched off; other device types are named."""
    text = fleet_from_pods(PODS, "conf.yaml")
    servers, fleet = loaded(text)
    assert set(servers) == {"node1", "node2"}
    assert set(fleet.disabled) == {"node3", "pod2-node1"}
    assert servers["node1"].env == "opnfv-pod1"
    assert servers["node1"].interval_s == 20.0
    assert servers["node1"].target.options["bridge"] == "0x82"
    assert servers["node1"].target.address == "172.16.0.1"
    assert servers["node2"].protocol == "redfish"
    assert "calvin" not in text
    for said in ("'pdu'", "'snmp'", "RECORDER_API_SERVER", "web page of iLO", "colour", "stands twice", "7"):
        assert said in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PODS: [", "not valid YAML"),
        ("a: 1", "missing key 'PODS'"),
        ("- 1", "missing key 'PODS'"),
        ("PODS: 3", "key 'PODS' is 3; allowed: a list"),
        ("PODS: 2026-13-45", "not valid YAML: month must be in"),
        ("[" * 5000, "not valid YAML: maximum recursion depth"),
        ("PODS: []", "none of its servers can be carried over: it names none$"),
        ("PODS: [3]", "none of its servers can be carried over: PODS: 3 was not carried over"),
        ("PODS:\n  - {a: [}", "^x.yaml: line 2: not valid YAML: "),
        ("PODS: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_pods_file(text, message):
    """One line; nothing in the file is executed."""
    with pytest.raises(ConfigError, match=message) as refused:
        fleet_from_pods(text, "x.yaml")
    assert "\n" not in str(refused.value)
