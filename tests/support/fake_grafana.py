"""A small server that answers as Grafana does where the annotator's commands ask it."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PASSWORD = "admin-of-grafana-1"
TOKEN = "glsa_of-the-annotator"


class FakeGrafana(ThreadingHTTPServer):
    """Service accounts, health, plugin and data source; ``broken`` maps a path to a status.

    Its clock is ``offset_s`` ahead.
    """

    def __init__(self, **state):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version = state.get("version", "11.6.0")
        self.accounts = state.get("accounts", [])
        self.broken = state.get("broken", {})
        self.tokens = []
        self.roles = []
        self.offset_s = state.get("offset_s", 0)


class _Handler(BaseHTTPRequestHandler):
    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + self.server.offset_s)

    def _answer(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _allowed(self, path):
        sent = self.headers.get("Authorization", "")
        right = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        if path != "/api/health" and sent not in (f"Basic {right}", f"Bearer {TOKEN}"):
            self._answer(401, {"message": "Invalid username or password"})
            return False
        if path in self.server.broken:
            self._answer(self.server.broken[path], {"message": "no"})
            return False
        return True

    def do_GET(self):
        path = self.path.partition("?")[0]
        if not self._allowed(path):
            return
        known = {
            "/api/health": {"database": "ok", "version": self.server.version},
            "/api/plugins/influxdb/settings": {"id": "influxdb", "enabled": True},
            "/api/datasources/uid/energy-influxdb/health": {"status": "OK"},
            "/api/serviceaccounts/search": {"serviceAccounts": self.server.accounts},
        }
        self._answer(200, known[path])

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed(self.path):
            return
        if self.path == "/api/serviceaccounts":
            self.server.accounts.append({"id": 7, "name": body["name"]})
            self.server.roles.append(body["role"])
            self._answer(201, {"id": 7})
        else:
            assert self.path == "/api/serviceaccounts/7/tokens"
            self.server.tokens.append(body["name"])
            self._answer(200, {"id": 1, "key": f"glsa_{len(self.server.tokens)}"})

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def grafana(**state):
    server = FakeGrafana(**state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def url_of(server):
    return f"http://127.0.0.1:{server.server_address[1]}"
