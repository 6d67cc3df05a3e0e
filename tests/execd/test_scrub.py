"""What tells whose BMC it is does not survive the scrubber, wherever it stands."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_execd.scrub import Scrubber

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
    ],
)
def test_forms_are_known_without_a_key(text):
    """Addresses, MACs, e-mails and UUIDs in free text."""
    clean = Scrubber().documents({"/x": {"Message": text}})["/x"]["Message"]
    assert clean != text
    assert clean.split()[0] == text.split()[0] or clean.split()[-1] == text.split()[-1]


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
