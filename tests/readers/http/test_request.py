"""Requests as they go over the wire: nothing from a BMC breaks out of its line."""

from __future__ import annotations

import pytest

from energyrecorder_execd.fleet.hosts import PROXY_ALLOWED, Proxy, parse_proxy
from energyrecorder_execd.http.request import host_header, request_bytes


def test_a_body_goes_with_its_type_and_length():
    sent = request_bytes("POST", "/a", "bmc", {"X-Auth-Token": "t"}, {"UserName": "u"})
    head, _, body = sent.partition(b"\r\n\r\n")
    assert body == b'{"UserName": "u"}'
    assert head.split(b"\r\n")[:2] == [b"POST /a HTTP/1.1", b"Host: bmc"]
    assert b"\r\nX-Auth-Token: t\r\nContent-Type: application/json\r\nContent-Length: 17" in head


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/a%7C%7C?$skip=75", "/a%7C%7C?$skip=75"),
        ("/Sensors/CPU 1", "/Sensors/CPU%201"),
        ("/a HTTP/1.1\r\nX: y", "/a%20HTTP/1.1%0D%0AX:%20y"),
        ("/Fühler", "/F%C3%BChler"),
    ],
)
def test_a_path_stays_in_its_line(path, sent):
    """What is visible ASCII stays as the BMC gave it."""
    line = request_bytes("GET", path, "bmc", {}, None).split(b"\r\n")[0]
    assert line == f"GET {sent} HTTP/1.1".encode()


@pytest.mark.parametrize("token", ["a\r\nHost: evil", "a\nb", "a\0b"])
def test_a_header_stays_in_its_line(token):
    """A token that would not is refused; the message does not show it."""
    with pytest.raises(ValueError, match="X-Auth-Token") as refused:
        request_bytes("GET", "/", "bmc", {"X-Auth-Token": token}, None)
    assert token not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "port", "usual", "expected"),
    [
        ("bmc", 443, 443, "bmc"),
        ("bmc", 8443, 443, "bmc:8443"),
        ("::1", 443, 443, "[::1]"),
        ("fe80::1%eth0", 8443, 443, "[fe80::1]:8443"),
        ("bmc", 443, None, "bmc:443"),
    ],
)
def test_the_host_header(address, port, usual, expected):
    """The zone of a link-local address means something on this machine only."""
    assert host_header(address, port, usual) == expected


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy:3128", Proxy("proxy", 3128)),
        ("http://proxy", Proxy("proxy", 80)),
        ("http://u:p%40ss@[::1]:3128/", Proxy("::1", 3128, "u:p@ss")),
    ],
)
def test_a_proxy_is_a_host_a_port_and_a_hidden_log_in(text, proxy):
    assert parse_proxy(text) == proxy
    assert "p@ss" not in repr(parse_proxy(text))


@pytest.mark.parametrize(
    "text", ["", "proxy:3128", "https://proxy", "socks5://proxy", "http://", "http://a b"]
)
def test_what_is_no_proxy(text):
    """The message says what is allowed."""
    with pytest.raises(ValueError, match="http://") as refused:
        parse_proxy(text)
    assert str(refused.value) == PROXY_ALLOWED
