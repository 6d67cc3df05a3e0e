"""A real nginx on loopback that ends TLS before the annotator, with the lines of docs/operations.md."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import subprocess
import time
from pathlib import Path

import trustme

from influxd import free_port
from support.tools import need

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
START_S = 60.0
SETTINGS = """
daemon off;
{user}
pid {folder}/pid;
error_log stderr;
worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
    {location}
  }}
}}
"""


class Nginx:
    """The process; ``stop`` and ``start`` cut and mend the link.

    Args:
        folder: For its files.
        port: Of the annotator, on loopback.
        user: A line of its settings that names its user; empty where it does not run as root.
    """

    def __init__(self, folder: Path, port: int, *, user: str) -> None:
        folder.mkdir()
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)
        self.port = free_port()
        [documented] = re.findall(r"^```nginx\n(.*?)^```", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
        assert "http://127.0.0.1:8742" in documented
        location = documented.replace("8742", str(port))
        self._settings = folder / "nginx.conf"
        self._settings.write_text(
            SETTINGS.format(folder=folder, port=self.port, location=location, user=user), encoding="utf-8"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(
            [need("nginx"), "-c", str(self._settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return
            assert self._process.poll() is None, "nginx did not start"
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; harmless when it does not run."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_S)
            self._process = None

    def ask(
        self, method: str, path: str, token: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Return status and body of an answer; None in place of nothing sent.

        Raises:
            OSError: The link is cut.
        """
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.context)
        sent = {"Authorization": f"Bearer {token}"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
