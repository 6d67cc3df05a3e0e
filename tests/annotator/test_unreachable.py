"""Why a peer cannot be reached is said in plain words, whatever libraries wrap around the system's own."""

import contextlib
import socket
import ssl
import threading
import urllib.request

import pytest
import requests
import trustme

from energyrecorder_annotator.unreachable import why


def by_requests(url):
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, timeout=0.5)


def by_urllib(url):
    with urllib.request.urlopen(url, timeout=0.5):
        pass


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def serve(listener):
    """Let a function have the first connection, and return its port."""
    threads = []

    def begin(take):
        def run():
            connection, _ = listener.accept()
            with connection:
                take(connection)

        threads.append(threading.Thread(target=run))
        threads[0].start()
        return listener.getsockname()[1]

    yield begin
    threads[0].join(timeout=30)


def said(ask, url):
    with pytest.raises(OSError) as raised:  # noqa: PT011  # of either library
        ask(url)
    return why(raised.value)


both = pytest.mark.parametrize("ask", [by_requests, by_urllib])


@both
def test_nobody_listens(ask):
    assert said(ask, "http://127.0.0.1:1/") == "connection refused"


@both
def test_nobody_knows_the_name(ask, monkeypatch):
    def fail(*_arguments, **_more):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert said(ask, "http://grafana.example/") == "name or service not known"


@both
def test_somebody_listens_and_is_silent(ask, listener):
    assert said(ask, f"http://127.0.0.1:{listener.getsockname()[1]}/") == "no answer in time"


@both
def test_somebody_hangs_up(ask, serve):
    port = serve(lambda connection: connection.recv(10_000))
    assert "closed connection without response" in said(ask, f"http://127.0.0.1:{port}/")


@both
def test_nobody_vouches_for_the_certificate(ask, serve):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    def shake_hands(connection):
        with contextlib.suppress(OSError):
            context.wrap_socket(connection, server_side=True)

    port = serve(shake_hands)
    assert said(ask, f"https://127.0.0.1:{port}/") == "TLS: unable to get local issuer certificate"
