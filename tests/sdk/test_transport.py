"""One exchange: the clock offset, time limits, what is not the annotator, and proxies."""

import base64
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from energyrecorder import sockets
from energyrecorder.clock import Instant, SystemClock
from energyrecorder.sdk_settings import SdkSettings
from energyrecorder.secret import Secret
from energyrecorder.transport import Transport, TransportError, estimate_offset

MS = 1_000_000


@pytest.fixture
def connect():
    opened = []

    def make(url, **more):
        transport = Transport(url, now=SystemClock().now, **more)
        opened.append(transport)
        return transport

    yield make
    for transport in opened:
        transport.close()


@pytest.mark.parametrize(
    ("to_ms", "back_ms", "served_ms", "ahead_ms"),
    [(5, 5, 2, 0), (5, 5, 2, 3_600_000), (9, 1, 0, -250), (0, 0, 7, 1)],
)
def test_offset_is_known_to_within_its_error(to_ms, back_ms, served_ms, ahead_ms):
    sent = Instant(1_000 * MS, 50 * MS, "b")
    received_ns = sent.wall_ns + (to_ms + ahead_ms) * MS
    sent_ns = received_ns + served_ms * MS
    # The wall clock here steps by an hour meanwhile: only the boot clock counts.
    answered = Instant(5_000_000 * MS, sent.boot_ns + (to_ms + served_ms + back_ms) * MS, "b")
    offset = estimate_offset(sent, answered, received_ns, sent_ns)
    assert abs(offset.offset_ns - ahead_ms * MS) <= offset.error_ns
    assert offset.error_ns == (to_ms + back_ms) * MS // 2


def test_an_exchange_reuses_its_connection_and_learns_the_offset(annotator, connect):
    annotator.clock_ns = lambda: (time.time_ns() + 10**12, time.time_ns() + 10**12)
    transport = connect(annotator.url, authorization="Bearer t")
    for _ in range(3):
        assert transport.exchange("POST", "/v1/batch", {"items": []})["items"] == []
    assert abs(transport.offset.offset_ns - 10**12) <= transport.offset.error_ns + MS
    assert [headers["Authorization"] for headers in annotator.headers] == ["Bearer t"] * 3
    assert annotator.connections == 1


def test_tls_where_none_is_spoken_is_said_in_words(annotator, connect):
    """Not by the name and source line of OpenSSL's error."""
    with pytest.raises(TransportError, match=r"annotator at https://[0-9.:]+: TLS: [a-z ]+$"):
        connect(annotator.url.replace("http:", "https:")).exchange("GET", "/healthz", timeout_s=30)


@pytest.mark.parametrize("mode", ["500", "401", "html", "cut"])
def test_what_is_not_an_answer_is_an_error_and_the_next_exchange_works(annotator, connect, mode):
    transport = connect(annotator.url)
    annotator.mode = mode
    with pytest.raises(TransportError) as caught:
        transport.exchange("POST", "/v1/batch", {"items": []})
    assert caught.value.status == {"500": 500, "401": 401, "html": 200, "cut": None}[mode]
    annotator.mode = "up"
    assert transport.exchange("POST", "/v1/batch", {"items": []})["items"] == []


def test_a_service_that_hangs_costs_the_time_limit_and_no_more(annotator, connect):
    annotator.mode = "hang"
    before = time.monotonic()
    with pytest.raises(TransportError, match="no answer in time"):
        connect(annotator.url).exchange("GET", "/healthz", timeout_s=0.3)
    assert 0.25 < time.monotonic() - before < 30


def test_a_black_hole_costs_the_time_limit_and_no_more(black_hole, connect):
    before = time.monotonic()
    with pytest.raises(TransportError, match="no answer in time"):
        connect(black_hole).exchange("GET", "/healthz", timeout_s=0.3)
    assert 0.25 < time.monotonic() - before < 30


@pytest.fixture
def no_names(monkeypatch):
    """Let every look-up of a name fail, without asking anybody."""

    def fail(*args):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(sockets, "_getaddrinfo", fail)


def test_nobody_listening_is_told_plainly(closed_port, connect):
    with pytest.raises(TransportError, match="connection refused"):
        connect(closed_port).exchange("GET", "/healthz")


def test_an_unknown_name_is_told_plainly(no_names, connect):
    with pytest.raises(TransportError, match=r"energy\.example:1: name or service not known"):
        connect("http://energy.example:1").exchange("GET", "/healthz")


def test_a_prefix_of_the_url_goes_before_each_path(annotator, connect):
    annotator.pages["/energy/healthz"] = {"status": "ok"}
    assert connect(f"{annotator.url}/energy").exchange("GET", "/healthz")["status"] == "ok"


class _Proxy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Proxy-Authorization")))
        body = b'{"status": "by proxy"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self):
        self.server.seen.append((self.path, self.headers.get("Proxy-Authorization")))
        self.send_error(502)

    def log_message(self, *args):
        pass


@pytest.fixture
def proxy():
    server = HTTPServer(("127.0.0.1", 0), _Proxy)
    server.seen = []
    server.url = f"http://user:p%40ss@127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


CREDENTIALS = "Basic " + base64.b64encode(b"user:p@ss").decode()


def test_a_proxy_is_used_for_what_lies_beyond_this_machine(proxy, connect, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    answer = connect("http://energy.example:8742").exchange("GET", "/healthz")
    assert answer["status"] == "by proxy"
    assert proxy.seen == [("http://energy.example:8742/healthz", CREDENTIALS)]


def test_a_proxy_is_asked_for_a_tunnel_to_https(proxy, connect, monkeypatch):
    monkeypatch.setenv("https_proxy", proxy.url)
    with pytest.raises(TransportError):
        connect("https://energy.example").exchange("GET", "/healthz")
    assert proxy.seen == [("energy.example:443", CREDENTIALS)]


def test_no_proxy_for_loopback(proxy, annotator, connect, monkeypatch):
    monkeypatch.setenv("http_proxy", proxy.url)
    assert connect(annotator.url).exchange("GET", "/healthz")["status"] == "ok"
    assert proxy.seen == []


def test_no_proxy_for_what_no_proxy_names(proxy, connect, monkeypatch, no_names):
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", ".example")
    with pytest.raises(TransportError, match="name or service"):
        connect("http://energy.example").exchange("GET", "/healthz")
    assert proxy.seen == []


def test_credentials_never_show(tmp_path):
    settings = SdkSettings("http://x", tmp_path, token=Secret("t0psecret"), basic=("u", Secret("p4ss")))
    assert settings.authorization() == "Bearer t0psecret"
    assert "t0psecret" not in repr(settings)
    assert "p4ss" not in repr(settings)
