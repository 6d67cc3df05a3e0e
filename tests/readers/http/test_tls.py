"""Each way of trusting a BMC's certificate accepts what it should and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import ssl
import time

import pytest
import trustme

from energyrecorder.errors import BmcUnreachableError
from energyrecorder_execd.http import BmcHttp, HttpClients
from energyrecorder_execd.http.tls import ALLOWED, parse_policy
from energyrecorder_execd.readers.base import Context, Memory
from support.scripted import scripted

ROOT = "/redfish/v1/"
DOCUMENTS = {ROOT: {"Id": "RootService"}}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def _server(authority, name="127.0.0.1"):
    """Return a server's context and the digest of the certificate that it shows."""
    leaf = authority.issue_cert(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    return context, hashlib.sha256(der).hexdigest()


@contextlib.asynccontextmanager
async def client(bmc, tls, facts=None):
    clients = HttpClients()
    aim = bmc.target(scheme="https", tls=tls)
    try:
        memory = Memory({} if facts is None else facts)
        yield BmcHttp(aim, clients, {}, Context(memory, time.time_ns))
    finally:
        await clients.close()


@pytest.mark.parametrize("kind", ["ca", "pin", "pin-with-colons", "tofu", "off"])
async def test_a_trusted_certificate(kind, authority, tmp_path):
    """Each policy but the system's own authorities can be made to trust a private certificate."""
    context, digest = _server(authority)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    colons = ":".join(digest[i : i + 2] for i in range(0, 64, 2)).upper()
    tls = {
        "ca": f"ca:{ca_file}",
        "pin": f"pin:sha256:{digest}",
        "pin-with-colons": f"pin:sha256:{colons}",
    }.get(kind, kind)
    async with scripted(DOCUMENTS, ssl_context=context) as bmc, client(bmc, tls) as http:
        assert (await http.get(ROOT, anonymous=True)).document == DOCUMENTS[ROOT]


@pytest.mark.parametrize("kind", ["verify", "ca", "pin", "name"])
async def test_an_untrusted_certificate(kind, authority, tmp_path, monkeypatch):
    """Reason tls, the command that mends it, nothing sent; environment variables do not help."""
    context, _ = _server(authority, "bmc.example" if kind == "name" else "127.0.0.1")
    other, own = tmp_path / "other.pem", tmp_path / "own.pem"
    trustme.CA().cert_pem.write_to_path(other)
    authority.cert_pem.write_to_path(own)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(own))
    tls = {"verify": "verify", "ca": f"ca:{other}", "pin": "pin:sha256:" + "ab" * 32, "name": f"ca:{own}"}[
        kind
    ]
    async with scripted(DOCUMENTS, ssl_context=context) as bmc, client(bmc, tls) as http:
        with pytest.raises(BmcUnreachableError) as refused:
            await http.get(ROOT, anonymous=True)
        assert refused.value.reason == "tls"
        assert str(refused.value).endswith("energy-execd pin")
        assert bmc.asked == []


async def test_trust_on_first_use_notices_a_change(authority):
    """The first certificate is remembered; another one is an error that names old and new."""
    facts = {}
    context, first = _server(authority)
    async with scripted(DOCUMENTS, ssl_context=context) as bmc, client(bmc, "tofu", facts) as http:
        await http.get(ROOT, anonymous=True)
    assert facts["pin"] == first
    context, second = _server(authority)
    async with scripted(DOCUMENTS, ssl_context=context) as bmc, client(bmc, "tofu", facts) as http:
        with pytest.raises(BmcUnreachableError) as changed:
            await http.get(ROOT, anonymous=True)
        assert changed.value.reason == "tls"
        assert first in str(changed.value)
        assert second in str(changed.value)
        assert bmc.asked == []
    assert facts["pin"] == first


@pytest.mark.parametrize(("user", "said"), [("monitor", 1), ("", 0)])
async def test_that_a_certificate_is_not_checked_is_said_once(authority, caplog, user, said):
    """Also where two protocols are tried one after the other; not where there is no log-in to be stolen."""
    context, _ = _server(authority)
    async with scripted(DOCUMENTS, ssl_context=context) as bmc:
        clients = HttpClients()
        for _ in ("redfish", "ilo"):
            http = BmcHttp(
                bmc.target(scheme="https", tls="off", user=user), clients, {}, Context(Memory(), time.time_ns)
            )
            await http.get(ROOT, anonymous=True)
        await clients.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"] * said


async def test_tls_that_is_no_tls(authority):
    """A plain HTTP server behind an https:// address is a tls error, and nothing is sent in clear."""
    async with scripted(DOCUMENTS) as bmc, client(bmc, "off") as http:
        with pytest.raises(BmcUnreachableError) as refused:
            await http.get(ROOT, anonymous=True)
        assert refused.value.reason == "tls"
        assert bmc.asked == []


@pytest.mark.parametrize("text", ["", "no", "ca:", "pin:sha1:00", "pin:sha256:00", "pin:sha256:" + "zz" * 32])
def test_a_wrong_policy_says_what_is_allowed(text):
    """In one line."""
    with pytest.raises(ValueError, match="verify") as refused:
        parse_policy(text)
    assert str(refused.value) == ALLOWED
