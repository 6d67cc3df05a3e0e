"""The gate before every route, as an application in this process: bodies that never end, and headers."""

import asyncio

import pytest

from energyrecorder_annotator.api import gate as gate_module
from energyrecorder_annotator.api.answers import Answer
from energyrecorder_annotator.api.gate import Gate
from energyrecorder_annotator.auth.guard import Guard

SECURITY = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}


async def app(scope, receive, send):
    await Answer({"path": scope["path"]})(scope, receive, send)


@pytest.fixture
def ask(tmp_path):
    """Return a function that sends one request and returns status and headers of the answer."""
    gate = Gate(app, guard=Guard(None, tmp_path / "tokens.json"), clock=lambda: 1)

    async def one(path, *parts, ends=True):
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        if ends:
            messages.append({"type": "http.request", "body": b"", "more_body": False})
        sent = []

        async def receive():
            return messages.pop(0) if messages else await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "headers": [], "client": ("127.0.0.1", 1)}
        await gate(scope, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"])

    return one


async def test_a_body_that_never_ends_is_not_waited_for(ask, monkeypatch):
    monkeypatch.setattr(gate_module, "BODY_S", 0.05)
    status, headers = await ask("/v1/steps", b"{", ends=False)
    assert (status, headers[b"connection"]) == (408, b"close")


async def test_a_client_that_sends_more_than_allowed_and_goes_on_is_cut_off(ask, monkeypatch):
    monkeypatch.setattr(gate_module, "DRAIN_S", 0.05)
    part = b"x" * gate_module.MAX_BODY_BYTES
    status, headers = await ask("/v1/steps", part, part, ends=False)
    assert (status, headers[b"connection"]) == (413, b"close")


async def test_every_answer_carries_the_security_headers(ask):
    for path, parts in (("/healthz", ()), ("/v1/steps", (b"{}",)), ("/v1/steps", (b"x" * 70_000,))):
        status, headers = await ask(path, *parts)
        assert {name: headers.get(name) for name in SECURITY} == SECURITY, (path, status)
