"""What tells whose BMC it is does not survive the scrubber, wherever it stands."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder.errors import BmcError
from energyrecorder_execd.setup.scrub import Scrubber
from support.redfish_bench import Bench

CASES = [path.parent for path in Path(__file__).parents[1].glob("testcases/redfish/*/responses.json")]
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
TELLING_KEY = re.compile(
    r"(?:.*SerialNumber|.*Serial(?:No)?|.*UUID|.*GUID|(?:Permanent|Host|Manager|.*)MACAddress|.*HostName|FQDN"
    r"|.*AssetTag|.*ServiceTag|SKU|NodeId|.*UserName|.*IP(?:v4|v6)?Address|Gateway|Email.*|WWN|DNSRacName)",
    re.IGNORECASE,
)
TELLING_FORMS = (
    re.compile(r"(?i)\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b"),
    re.compile(r"(?i)MAC\(([0-9a-f]{12})"),
    re.compile(r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"),
    re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"),
)
OF_A_VERSION = re.compile(r"(?i)version|odata")
TELLS_NOTHING = re.compile(
    r"none|null|n/?a$|unknown|not |default string|to be filled|0\.0\.0\.0|127\.|255\.|localhost"
    # Captures that were made anonymous hold the very stand-ins, or the name of what stood there.
    r"|username$|192\.0\.2\.|00:00:5e:00:53|00000000-"
)

SECRETS = [
    ("SerialNumber", "CZJ8430ABC"),
    ("SKU", "7XKQ9T2"),
    ("ChassisServiceTag", "7XKQ9T3"),
    ("AssetTag", "LAB-000417"),
    ("UUID", "30373237-3132-4D32-3238-303930304D52"),
    ("MACAddress", "94:40:C9:1A:2B:3C"),
    ("IPv4Address", "10.11.12.13"),
    ("HostName", "node17.customer.example"),
    ("FQDN", "bmc17.customer.example"),
    ("UserName", "jdoe"),
    ("EmailAddress", "jane@customer.example"),
    ("CertificateString", "-----BEGIN CERTIFICATE-----MIIB"),
    ("LicenseKey", "35DRP-XXXXX-YYYYY"),
    ("Location", "Karlstr. 7, cellar"),
    ("Gateway", "fe80::9640:c9ff:fe1a:2b3c"),
    ("BoardSN", "BQ77123"),
    ("DurableName", "naa.50014380443d1a20"),
    ("AssociatedWWPNs", "5001438044aabbcc"),
    ("ServerOS.1.HostName", "dbnode17"),
    ("ServerTopology.1.RackName", "Krona-R7"),
    ("SystemName", "irmc-fra-7"),
    ("PermanentNetworkAddress", "94-40-C9-1A-2B-3D"),
    ("HostName", "kasse"),
]


@pytest.mark.parametrize(("key", "value"), SECRETS)
def test_a_sensitive_value_is_gone_everywhere(key, value):
    """Under its own key, in links, in keys, in free text, in any case, nested however deep."""
    documents = {
        f"/redfish/v1/Chassis/{value}": {
            "Oem": {"Vendor": [{key: value}]},
            "Name": f"Chassis {value.lower()} in the lab",
            "Links": {value: {"@odata.id": f"/redfish/v1/Managers/{value}/x"}},
            "Messages": [f"logged in: {value.upper()}"],
        }
    }
    clean = json.dumps(Scrubber().documents(documents))
    assert value.lower() not in clean.lower()


@pytest.mark.parametrize(
    "text",
    [
        "peer 192.168.7.9 left",
        "aa:bb:cc:dd:ee:0f up",
        "by jane@corp.example",
        "id 30373237-3132-4d32-3238-303930304d52",
        "NIC PciRoot(0x2)/Pci(0x0,0x0)/MAC(9440C91A2B3C,0x1)",
        "bmc-9440c91a2b3c of a switch",
        "port 9440.c91a.2b3c of a switch",
        "net 2001:db8:7:1::/64 in",
    ],
)
def test_forms_are_known_without_a_key(text):
    """Addresses, MACs, e-mails and UUIDs in a text that stays otherwise."""
    clean = Scrubber().documents({"/x": {"Name": text}})["/x"]["Name"]
    assert clean != text
    assert not re.search(r"(?i)9440\.?c91a|2001:db8", clean)
    assert clean.split()[0] == text.split()[0] or clean.split()[-1] == text.split()[-1]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SystemLocation", "Hall 7"),
        ("AisleName", "Aisle B"),
        ("NTPServers", ["ntp1.customer.example"]),
        ("Description", "till of shop 12"),
        ("OsSysDescription", "Linux prodsap03 5.14.0"),
        ("CreatedBy", "svc-red"),
        ("Tag", "12345ABCDE"),
        ("Number", "219887766"),
        ("Url", "https://bmc77.customer.example/x"),
        ("Location", {"Longitude": 13.3777}),
    ],
)
def test_what_nobody_needs_does_not_stay(key, value):
    """Vendors' own names for whose a server is are without number: what is not known to be harmless goes."""
    clean = Scrubber().documents({"/x": {"Oem": {"Vendor": {key: value}}}})["/x"]["Oem"]["Vendor"][key]
    assert clean in ("TEXT", ["TEXT"], {"Longitude": 0})


def test_the_parts_of_a_host_name_are_gone_as_well():
    """Its first label, unless that is a plain word, and its domain."""
    document = {
        "HostName": "web42.customer.example",
        "FQDN": "power.lab.example",
        "Name": "web42 in customer.example",
    }
    clean = Scrubber().documents({"/x": document, "/x/Power": {"PowerControl": []}})
    assert not re.search(r"web42|customer|lab\.example", json.dumps(clean))
    assert clean["/x/Power"] == {"PowerControl": []}


@pytest.mark.parametrize("word", ["chassis", "Power", "control"])
def test_a_word_of_the_protocol_is_gone_where_it_names_a_host_alone(word):
    """Else no reader would find its way any more."""
    document = {"HostName": word, "Chassis": {"@odata.id": "/redfish/v1/Chassis"}, "PowerControl": []}
    clean = Scrubber().documents({"/redfish/v1": document})["/redfish/v1"]
    assert clean == {**document, "HostName": "HOST-1"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_recorded_bmc_reads_the_same(case):
    """Whatever is replaced: power, parts, timing, state of the host, errors; and twice is as once."""
    documents = json.loads((case / "responses.json").read_text(encoding="utf-8"))
    clean = Scrubber().documents(documents)
    assert Scrubber().documents(clean) == clean
    assert await _read(clean) == await _read(documents)


async def _read(documents):
    bench = Bench(documents)
    try:
        poll, _ = await bench.poll()
    except BmcError as error:
        return error.reason
    shown = [
        replace(reading, sampled_at_ns=0, latency_s=0.0, node=reading.node is not None)
        for reading in poll.readings
    ]
    return shown, list(poll.host.values()), poll.error, poll.info


@pytest.mark.parametrize("value", ["94:40:C9:1A:2B:3C", "30373237-3132-4D32-3238-303930304D52"])
def test_a_value_is_the_same_without_what_divides_it(value):
    """As a part of a name, in whatever case."""
    plain = value.replace(":", "").replace("-", "").lower()
    clean = Scrubber().documents({"/x": {"MACAddress": value, "UUID": value, "Name": f"bmc-{plain}.lab"}})
    assert plain not in str(clean).lower()


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of captured payloads is not beside us")
@pytest.mark.parametrize("folder", sorted(CORPUS.glob("*/")), ids=lambda folder: folder.name)
def test_no_captured_bmc_tells_whose_it_is(folder):
    """Serials, tags, UUIDs, MACs, addresses, host and user names of all captures, under whatever key."""
    files = [path for path in folder.rglob("*.json") if path.is_file()]
    documents = {str(path): json.loads(path.read_text(encoding="utf-8")) for path in files}
    telling = {value for document in documents.values() for value in _telling(document)}
    clean = json.dumps(Scrubber().documents(documents)).lower()
    assert [value for value in sorted(telling) if value in clean] == []


def _telling(value, key=""):
    """Return, in lower case, what tells whose a BMC is, by another list of keys than the product's."""
    if isinstance(value, dict):
        return {found for name, item in value.items() for found in _telling(item, name)}
    if isinstance(value, list):
        return {found for item in value for found in _telling(item, key)}
    if not isinstance(value, str) or OF_A_VERSION.search(key):
        return set()
    whole = {value.strip()} if TELLING_KEY.fullmatch(key) else set()
    found = {text.lower() for text in whole.union(*(form.findall(value) for form in TELLING_FORMS))}
    return {text for text in found if len(text) > 2 and not TELLS_NOTHING.match(text)}


def test_what_the_reader_needs_stays():
    """Values, units, states, times, versions and the shape of paths."""
    document = {
        "@odata.id": "/redfish/v1/Chassis/1/Power",
        "FirmwareVersion": "2.81.81.81",
        "PowerControl": [{"MemberId": "0", "PowerConsumedWatts": 302, "PowerMetrics": {"IntervalInMin": 1}}],
        "DateTime": "2026-11-22T21:30:00+00:00",
        "PowerState": "On",
        "Model": "ProLiant DL385 Gen10",
        "SerialNumber": None,
        "HostName": "",
        "Voltage": 230.5,
    }
    assert Scrubber().documents({"/redfish/v1/Chassis/1/Power": document}) == {
        "/redfish/v1/Chassis/1/Power": document
    }


def test_the_same_value_gets_the_same_stand_in():
    """So that links still lead where they led."""
    documents = {
        "/c": {"Members": [{"@odata.id": "/c/CZJ8430ABC"}]},
        "/c/CZJ8430ABC": {"SerialNumber": "CZJ8430ABC"},
    }
    clean = Scrubber().documents(documents)
    assert clean["/c"]["Members"][0]["@odata.id"] in clean


@given(st.from_regex(r"[A-Z0-9]{5,12}", fullmatch=True), st.sampled_from(["Serial", "SerialNumber", "SKU"]))
def test_any_serial_is_gone(serial, key):
    """Whatever it looks like, unless it reads as no value at all."""
    clean = json.dumps(Scrubber().documents({f"/x/{serial}/y": {key: serial, "Id": f"a {serial} b"}}))
    assert serial not in clean or serial.lower() in {"unknown", "false", "localhost"} or serial in "SERIAL-1"
