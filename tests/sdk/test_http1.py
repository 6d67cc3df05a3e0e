"""HTTP/1.1 answers however they are cut into pieces, and what is none."""

import socket
import threading

import pytest

from energyrecorder.http1 import ClosedError, Connection, HttpError

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}", False)),
    (b"HTTP/1.1 200\r\ncontent-length:2\r\nConnection: Keep-Alive, close\r\n\r\n{}", (200, b"{}", True)),
    (b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", (404, b"", True)),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\nContent-Length: 1\n\n1", (201, b"1", False)),
    (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", False)),
    (
        CHUNKED + b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
        (200, b"abc0123456789", False),
    ),
    (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", (200, b"until the end", True)),
]
WRONG = [
    b"SSH-2.0-OpenSSH_9\r\n\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001,
    b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnine\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
]


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield Connection(ours, lambda: 5.0, 1000), theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize(("raw", "answer"), ANSWERS)
@pytest.mark.parametrize("piece", [1, 3, 10_000])
def test_an_answer_is_read_however_it_is_cut(pair, raw, answer, piece):
    connection, theirs = pair

    def send():
        for start in range(0, len(raw), piece):
            theirs.sendall(raw[start : start + piece])
        if answer[2]:
            theirs.close()

    thread = threading.Thread(target=send)
    thread.start()
    assert connection.response() == answer
    thread.join(5)


def test_answers_one_after_the_other_are_kept_apart(pair):
    connection, theirs = pair
    theirs.sendall(ANSWERS[0][0] + ANSWERS[5][0] + ANSWERS[0][0])
    assert [connection.response().body for _ in range(3)] == [b"{}", b"abc0123456789", b"{}"]


@pytest.mark.parametrize("raw", WRONG, ids=range(len(WRONG)))
def test_what_is_not_an_answer_is_an_error(pair, raw):
    connection, theirs = pair

    def send():
        theirs.sendall(raw)
        theirs.close()

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(HttpError) as caught:
        connection.response()
    assert not isinstance(caught.value, ClosedError)
    connection.close()
    thread.join(5)


def test_a_connection_closed_before_the_answer_is_told_apart(pair):
    connection, theirs = pair
    theirs.close()
    with pytest.raises(ClosedError):
        connection.response()


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a b", {}),
        ("/a\r\nX: y", {}),
        ("/", {"Authorization": "t\r\nX: y"}),
        ("/ä", {}),
        ("/", {"X": "\u2026"}),
    ],
)
def test_nothing_can_be_smuggled_into_a_request(pair, target, headers):
    connection, theirs = pair
    with pytest.raises(ValueError, match=r"holds|codec"):
        connection.request("GET", target, headers)
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
