"""A small server that answers as Grafana does where the annotator's commands ask it."""

from __future__ import annotations

import base64
import email.utils
import json
import time

from support.fake_server import FakeServer

PASSWORD = "admin-of-grafana-1"
TOKEN = "glsa_of-the-annotator"
LOG_INS = (f"Basic {base64.b64encode(f'admin:{PASSWORD}'.encode()).decode()}", f"Bearer {TOKEN}")


class FakeGrafana(FakeServer):
    """Service accounts, health, plugin and data source; ``broken`` maps a path to a status.

    Its clock is ``offset_s`` ahead; with ``hidden`` its version is told to its users alone.
    """

    def __init__(self, *, version="11.6.0", broken=None, offset_s=0, hidden=False):
        self.version = version
        self.broken = broken or {}
        self.offset_s = offset_s
        self.accounts = []
        self.roles = []
        self.hidden = hidden
        self.tokens = []
        super().__init__(self._answer)

    def _answer(self, method, path, _query, body, headers):
        status, content = self._content(method, path, body, headers)
        return status, content, {"Date": email.utils.formatdate(time.time() + self.offset_s, usegmt=True)}

    def _content(self, method, path, body, headers):
        if path != "/api/health" and headers.get("Authorization") not in LOG_INS:
            return 401, {"message": "Invalid username or password"}
        if path in self.broken:
            return self.broken[path], {"message": "no"}
        if method == "POST":
            return self._made(path, json.loads(body))
        known = {
            "/api/health": {"database": "ok"} | ({} if self.hidden else {"version": self.version}),
            "/api/frontend/settings": {"buildInfo": {"version": self.version}},
            "/api/plugins/influxdb/settings": {"id": "influxdb", "enabled": True},
            "/api/datasources/uid/energy-influxdb/health": {"status": "OK"},
            "/api/serviceaccounts/search": {"serviceAccounts": self.accounts},
        }
        return 200, known[path]

    def _made(self, path, body):
        if path == "/api/serviceaccounts":
            self.accounts.append({"id": 7, "name": body["name"]})
            self.roles.append(body["role"])
            return 201, {"id": 7}
        assert path == "/api/serviceaccounts/7/tokens"
        self.tokens.append(body["name"])
        return 200, {"id": 1, "key": f"glsa_{len(self.tokens)}"}
