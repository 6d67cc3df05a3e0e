"""Responses as BMCs write them, whole and in single bytes; what is refused, and when a connection is kept."""

from __future__ import annotations

import gzip
import zlib

import httptools
import pytest

from energyrecorder_execd.http.content import BodyTooLongError, decoded
from energyrecorder_execd.http.response import MAX_HEAD_BYTES, Response

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def fed(*pieces, limit=1000, is_tunnel=False):
    response = Response(limit=limit, is_tunnel=is_tunnel)
    for piece in pieces:
        response.feed(piece)
    return response


def bytewise(data):
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize(
    ("data", "status", "body", "keeps_alive"),
    [
        (OK + b"Content-Length: 2\r\n\r\n{}", 200, b"{}", True),
        (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
        (CHUNKED + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", 200, b"{}", True),
        (CHUNKED + b"2\r\n{}\r\n0\r\nX-Auth-Token: late\r\n\r\n", 200, b"{}", True),
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}", 200, b"{}", True),
        (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" * 3 + OK + b"Content-Length: 1\r\n\r\n1", 200, b"1", True),
        (b"HTTP/1.1 503 \r\nContent-Length: 1\r\n\r\n1", 503, b"1", True),
    ],
)
def test_a_response_in_one_piece_or_in_many(data, status, body, keeps_alive):
    """The same comes out; interim responses leave no trace."""
    for pieces in ([data], bytewise(data)):
        response = fed(*pieces)
        assert response.is_complete
        assert (response.status, response.body()) == (status, body)
        assert response.keeps_alive is keeps_alive
        assert not {"link", "x-auth-token"} & set(response.headers)


def test_a_body_that_ends_with_the_connection():
    """Without a length the end of the connection is the end; with one, it is a broken answer."""
    response = fed(OK + b"\r\n", b"{}")
    assert not response.is_complete
    assert response.end()
    assert response.body() == b"{}"
    assert not response.keeps_alive
    assert not fed(OK + b"Content-Length: 3\r\n\r\n", b"{}").end()
    assert not fed(CHUNKED, b"2\r\n{}\r\n").end()
    assert not fed(OK).end()


def test_names_of_headers_are_lower_case_and_the_first_counts():
    """Whatever the BMC writes."""
    response = fed(OK + b"X-AUTH-token: a\r\nx-auth-token: b\r\nContent-Length: 0\r\n\r\n")
    assert response.headers["x-auth-token"] == "a"


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"H"])
def test_more_than_was_asked_for_ends_the_connection(more):
    """A second answer would be taken for that to the next request."""
    whole = OK + b"Content-Length: 2\r\n\r\n{}"
    for pieces in ([whole + more], [whole, more]):
        response = fed(*pieces)
        assert response.body() == b"{}"
        assert not response.keeps_alive
    # A stray line end is a known fault of old servers, and harmless.
    assert fed(whole + b"\r\n").keeps_alive


@pytest.mark.parametrize(
    "data",
    [
        b"<html>no HTTP at all</html>",
        b"\x15\x03\x01\x00\x02\x02\x28",
        CHUNKED + b"zz\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        OK + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD_BYTES // 20),
    ],
)
def test_what_is_no_valid_http(data):
    """One kind of error, also when it comes in pieces."""
    for pieces in ([data], [data[i : i + 1000] for i in range(0, len(data), 1000)]):
        with pytest.raises(httptools.HttpParserError):
            fed(*pieces)


@pytest.mark.parametrize(
    "data",
    [OK + b"Content-Length: 1001\r\n\r\n", CHUNKED + b"3e9\r\n" + b"x" * 1001, OK + b"\r\n" + b"x" * 1001],
)
def test_a_body_beyond_the_bound(data):
    """It is not waited for."""
    response = fed(data)
    assert response.is_settled
    assert not response.is_complete
    with pytest.raises(BodyTooLongError):
        response.body()


def test_a_tunnel_has_no_body():
    """Success of CONNECT ends with its headers; a refusal is an answer as any other."""
    assert fed(b"HTTP/1.1 200 Connected\r\n\r\n", is_tunnel=True).keeps_alive
    refused = fed(b"HTTP/1.1 407 No\r\nContent-Length: 4\r\n\r\n", is_tunnel=True)
    assert not refused.is_complete
    refused.feed(b"nope")
    assert (refused.is_complete, refused.status) == (True, 407)


def _bare(data):
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", gzip.compress), ("X-GZIP ", gzip.compress), ("deflate", zlib.compress), ("deflate", _bare)],
)
def test_a_body_that_was_compressed_unasked(coding, compress):
    """Damaged, cut off or too long, it is none; nothing larger than the bound is ever made."""
    plain = b'{"a": "' + bytes(range(65, 91)) * 20 + b'"}'
    assert decoded(compress(plain), coding, 1000) == plain
    with pytest.raises(BodyTooLongError):
        decoded(compress(bytes(50_000_000)), coding, 1000)
    with pytest.raises(ValueError, match="damaged"):
        decoded(compress(plain)[:-3], coding, 1000)
    with pytest.raises(ValueError, match="damaged"):
        decoded(b"\x78plain", coding, 1000)


def test_other_codings():
    """None is none; one that we do not know is named."""
    assert decoded(b"{}", "identity", 1000) == b"{}"
    assert decoded(b"", "gzip", 1000) == b""
    with pytest.raises(ValueError, match="'br'"):
        decoded(b"{}", "br", 1000)
