"""What tells whose BMC it is does not survive the scrubber, wherever it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_execd.scrub import Scrubber

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
    # Captures that were made anonymous hold the very stand-ins.
    r"|192\.0\.2\.|00:00:5e:00:53|00000000-"
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
    ],
)
def test_forms_are_known_without_a_key(text):
    """Addresses, MACs, e-mails and UUIDs in free text."""
    clean = Scrubber().documents({"/x": {"Message": text}})["/x"]["Message"]
    assert clean != text
    assert "9440C91A2B3C" not in clean
    assert clean.split()[0] == text.split()[0] or clean.split()[-1] == text.split()[-1]


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
