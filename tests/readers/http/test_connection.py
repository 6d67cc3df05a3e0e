"""One connection per BMC: kept, replaced when it was closed, given up when its answer cannot be trusted."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time

import pytest
import trustme

from energyrecorder.errors import BmcDataError, BmcUnreachableError
from energyrecorder_execd.http import HttpClients, transport
from energyrecorder_execd.http.transport import Endpoint
from support.raw_server import answering, raw_server

LONG_S = 30.0
AUTHORITY = trustme.CA()


@contextlib.asynccontextmanager
async def endpoint(aim):
    clients = HttpClients()
    try:
        yield Endpoint(aim, clients, {}, time.time_ns)
    finally:
        await asyncio.wait_for(clients.close(), LONG_S)


def server_context(name="127.0.0.1", version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)
    if version is not None:
        context.maximum_version = version
    return context


@pytest.fixture
def trusted(tmp_path):
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return {"scheme": "https", "tls": f"ca:{tmp_path / 'ca.pem'}"}


async def test_requests_share_a_connection():
    """Also after an error status and an interim response."""

    async def serve(call):
        await call.request()
        await call.answer()
        await call.request()
        await call.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}")
        await answering(call)

    async with raw_server(serve) as bmc, endpoint(bmc.target()) as http:
        statuses = [(await http.send("GET", f"/{number}")).status for number in range(3)]
        assert statuses == [200, 404, 200]
        assert bmc.lines == [["GET /0", "GET /1", "GET /2"]]
        assert "accept-encoding: identity" in bmc.heads[0][0].lower()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ],
)
async def test_a_connection_that_is_not_to_be_kept(answer):
    """By the server's word, or since it sends more than was asked for."""

    async def serve(call):
        while await call.request():
            await call.send(answer)

    async with raw_server(serve) as bmc, endpoint(bmc.target()) as http:
        for number in range(2):
            assert (await http.send("GET", f"/{number}")).body == b"{}"
        assert bmc.lines == [["GET /0"], ["GET /1"]]
        await asyncio.wait_for(bmc.closed[0].wait(), LONG_S)


async def test_an_answer_without_length_ends_with_the_connection():
    """Old web servers write so."""

    async def serve(call):
        await call.request()
        await call.send(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000)

    async with raw_server(serve) as bmc, endpoint(bmc.target()) as http:
        assert len((await http.send("GET", "/")).body) == 100_000


async def test_a_connection_that_was_closed_meanwhile_is_replaced():
    """The BMC's time for idle connections ends between two polls: no request fails, not even a log-in."""

    async def serve(call):
        await call.request()
        await call.answer()

    async with raw_server(serve) as bmc, endpoint(bmc.target()) as http:
        await http.send("GET", "/0")
        kept = http._kept
        await asyncio.wait_for(asyncio.shield(kept.lost), LONG_S)
        await http.send("POST", "/1", payload={"UserName": "u"})
        assert bmc.lines == [["GET /0"], ["POST /1"]]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_request_that_meets_a_closing_connection_is_sent_once_more(method):
    """The server closes just as the request comes; on a fresh connection, it is an error."""

    async def serve(call):
        await call.request()
        if call.number < 2:
            await call.answer()
            await call.request()

    async with raw_server(serve) as bmc, endpoint(bmc.target()) as http:
        await http.send("GET", "/0")
        await http.send(method, "/1")
        assert bmc.lines == [["GET /0", f"{method} /1"], [f"{method} /1"]]
        with pytest.raises(BmcUnreachableError, match=r"the connection broke$") as broken:
            await http.send(method, "/2")
        assert broken.value.reason == "unreachable"
        assert bmc.lines[1:] == [[f"{method} /1", f"{method} /2"], [f"{method} /2"]]


async def test_a_log_in_is_never_sent_twice():
    """Nobody knows whether the first one made a session."""

    async def serve(call):
        await call.request()
        await call.answer()
        await call.request()

    async with raw_server(serve) as bmc, endpoint(bmc.target()) as http:
        await http.send("GET", "/0")
        with pytest.raises(BmcUnreachableError):
            await http.send("POST", "/1", payload={})
        assert bmc.lines == [["GET /0", "POST /1"]]


async def test_an_answer_that_breaks_off_is_not_asked_for_again():
    """Something of it had come: the BMC is at fault, not the connection's age."""

    async def serve(call):
        await call.request()
        await call.answer()
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{")

    async with raw_server(serve) as bmc, endpoint(bmc.target()) as http:
        await http.send("GET", "/0")
        with pytest.raises(BmcUnreachableError, match="broke inside the answer"):
            await http.send("GET", "/1")
        assert len(bmc.lines) == 1


async def test_what_is_no_http():
    """It is said what of it is not."""

    async def serve(call):
        await call.request()
        await call.send(b"SSH-2.0-OpenSSH_9.2\r\n")
        await call.request()

    async with raw_server(serve) as bmc, endpoint(bmc.target()) as http:
        with pytest.raises(BmcDataError, match="no valid HTTP") as refused:
            await http.send("GET", "/")
        assert refused.value.reason == "protocol"
        await asyncio.wait_for(bmc.closed[0].wait(), LONG_S)


@pytest.mark.parametrize("secure", [False, True])
async def test_a_poll_that_ends_takes_its_connection_along(secure, trusted):
    """An answer that comes later would be taken for that to another request."""
    asked = asyncio.Event()

    async def serve(call):
        await call.request()
        if call.number == 0:
            asked.set()
            await call.request()
        await call.answer(b"[]")

    context = server_context() if secure else None
    async with (
        raw_server(serve, ssl_context=context) as bmc,
        endpoint(bmc.target(**(trusted if secure else {}))) as http,
    ):
        first = asyncio.create_task(http.send("GET", "/0"))
        await asyncio.wait_for(asked.wait(), LONG_S)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.wait_for(bmc.closed[0].wait(), LONG_S)
        assert (await http.send("GET", "/1")).body == b"[]"


async def test_two_requests_at_once_have_a_connection_each():
    """A log-in goes on when its poll has ended, and the next poll asks for something else meanwhile."""
    both = asyncio.Event()

    async def serve(call):
        head = await call.request()
        if call.number == 1:
            both.set()
        await asyncio.wait_for(both.wait(), LONG_S)
        await call.answer(head.split()[1].encode())
        await answering(call)

    async with raw_server(serve) as bmc, endpoint(bmc.target()) as http:
        answers = await asyncio.gather(http.send("GET", "/a"), http.send("GET", "/b"))
        assert [answer.body for answer in answers] == [b"/a", b"/b"]
        await http.send("GET", "/c")
        assert sorted(map(len, bmc.lines)) == [1, 2]


async def test_a_connection_that_rests_for_long_is_closed(monkeypatch):
    """A BMC has few places for connections."""
    monkeypatch.setattr(transport, "KEEPALIVE_S", 0.01)
    async with raw_server(answering) as bmc, endpoint(bmc.target()) as http:
        await http.send("GET", "/0")
        await asyncio.wait_for(bmc.closed[0].wait(), LONG_S)
        await http.send("GET", "/1")
        assert bmc.lines == [["GET /0"], ["GET /1"]]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_large_answer_over_tls(version, trusted):
    """Many records, more than all buffers hold; then a second request on the same connection."""
    body = b"x" * 1_000_000

    async def serve(call):
        while await call.request():
            await call.answer(body)

    context = server_context(version=version)
    async with raw_server(serve, ssl_context=context) as bmc, endpoint(bmc.target(**trusted)) as http:
        for number in range(2):
            assert (await http.send("GET", f"/{number}")).body == body
        assert bmc.lines == [["GET /0", "GET /1"]]


async def test_tls_that_ends_before_it_began(trusted):
    """The reason is tls, the message says what may help."""

    async def serve(call):
        await call.reader.read(10)

    async with raw_server(serve) as bmc, endpoint(bmc.target(**trusted)) as http:
        with pytest.raises(BmcUnreachableError, match=r"legacy_tls = true.*energy-execd pin$") as refused:
            await http.send("GET", "/")
        assert refused.value.reason == "tls"


async def test_a_server_with_an_ipv6_address(trusted):
    """The certificate is checked for the address; brackets stand in the Host header only."""
    async with (
        raw_server(answering, ssl_context=server_context("::1"), address="::1") as bmc,
        endpoint(bmc.target(address="::1", **trusted)) as http,
    ):
        await http.send("GET", "/")
        assert f"Host: [::1]:{bmc.port}\r\n" in bmc.heads[0][0]


async def test_a_name_with_two_addresses_of_which_one_answers(monkeypatch):
    """Whichever it is; if none does, the reason is said once."""
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def both(host, port, **more):
        found = [await resolve(address, port, **more) for address in ("::1", "127.0.0.1")]
        return [entry for entries in found for entry in entries] if host == "bmc" else found

    monkeypatch.setattr(loop, "getaddrinfo", both)
    async with raw_server(answering) as bmc:
        async with endpoint(bmc.target(address="bmc")) as http:
            assert (await http.send("GET", "/")).status == 200
        port = bmc.port
    async with endpoint(bmc.target(address="bmc", port=port)) as http:
        with pytest.raises(BmcUnreachableError, match=r"of bmc:\d+: Connection refused$"):
            await http.send("GET", "/")


async def test_a_name_that_is_none(monkeypatch):
    """The resolver's word is passed on."""

    async def unknown(*arguments, **more):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    async with raw_server(answering) as bmc, endpoint(bmc.target(address="bmc.invalid")) as http:
        with pytest.raises(BmcUnreachableError, match=r": Name or service not known$") as refused:
            await http.send("GET", "/")
        assert refused.value.reason == "unreachable"


@pytest.mark.parametrize("login", ["", "me:p%40ss@"])
async def test_a_proxy_to_a_bmc_with_tls(login, trusted):
    """It passes bytes on: it sees neither token nor path, and TLS is checked for the BMC."""

    async def tunnel(call):
        head = await call.request()
        host, _, port = head.split()[1].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        await call.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def copy(source, sink):
            while data := await source.read(65536):
                sink.write(data)

        try:
            await asyncio.wait(
                [
                    asyncio.ensure_future(copy(call.reader, writer)),
                    asyncio.ensure_future(copy(reader, call.writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            writer.close()

    async with (
        raw_server(answering, ssl_context=server_context()) as bmc,
        raw_server(tunnel) as proxy,
        endpoint(bmc.target(options={"proxy": f"http://{login}127.0.0.1:{proxy.port}"}, **trusted)) as http,
    ):
        for number in range(2):
            await http.send("GET", f"/{number}", headers={"X-Auth-Token": "t"})
        assert bmc.lines == [["GET /0", "GET /1"]]
        assert proxy.lines == [[f"CONNECT 127.0.0.1:{bmc.port}"]]
        assert ("Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in proxy.heads[0][0]) is bool(login)
        assert "Proxy-Authorization" not in bmc.heads[0][0]


async def test_a_proxy_that_refuses(trusted):
    """It is named as the one that does."""

    async def serve(call):
        await call.request()
        await call.send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with (
        raw_server(serve) as proxy,
        endpoint(proxy.target(options={"proxy": f"http://127.0.0.1:{proxy.port}"}, **trusted)) as http,
    ):
        with pytest.raises(BmcUnreachableError, match="the proxy answered HTTP 407"):
            await http.send("GET", "/")


async def test_a_proxy_to_a_bmc_in_clear():
    """It is asked for the whole address."""
    async with (
        raw_server(answering) as proxy,
        endpoint(
            proxy.target(address="bmc", port=8080, options={"proxy": f"http://u:p@127.0.0.1:{proxy.port}"})
        ) as http,
    ):
        await http.send("GET", "/a?b")
        assert proxy.lines == [["GET http://bmc:8080/a?b"]]
        assert "Proxy-Authorization: Basic dTpw\r\n" in proxy.heads[0][0]
