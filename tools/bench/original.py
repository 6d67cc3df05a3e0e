"""The original recorder's pattern, as a peer: each call reads from InfluxDB and writes to it, then answers.

Run as ``python -m bench.original INFLUX_PORT``; prints the port on which it serves the calls of `bench.load`.
It is kinder than the original was: no framework, no validation, one connection to InfluxDB per client, kept.
"""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from bench.measure import with_tools
from influxd import Influxd, program

_LAST = 'SELECT last("started") FROM "RunningScenarios" WHERE "environment" = \'bench\''
_READ = f"/query?db=NRG&q={quote(_LAST)}"


@contextlib.contextmanager
def original_pattern(folder: Path) -> Iterator[int | None]:
    """Run InfluxDB and the peer before it; yield the peer's port, None where InfluxDB is not installed."""
    if program() is None:
        yield None
        return
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(Influxd(folder / "influxd"))
        database.query("CREATE DATABASE NRG")
        command = [sys.executable, "-m", "bench.original", str(database.port)]
        peer = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=with_tools())
        )
        stack.callback(peer.terminate)
        if peer.stdout is None:
            raise AssertionError("started with a pipe")
        yield int(peer.stdout.readline())


def _call(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    connection.request("POST", path, body)
    answer = connection.getresponse()
    answer.read()
    if answer.status not in {200, 204}:
        raise RuntimeError(f"InfluxDB answered {answer.status} to {path}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    influx_port = 0

    def setup(self) -> None:
        super().setup()
        self._influx = http.client.HTTPConnection("127.0.0.1", self.influx_port, timeout=30)

    def do_POST(self) -> None:  # the library's name
        self.rfile.read(int(self.headers["Content-Length"]))
        stopped = self.path.endswith("/stop")
        _call(self._influx, _READ, b"")
        line = f"RunningScenarios,environment=bench,scenario=load,step=x started={int(not stopped)}"
        _call(self._influx, "/write?db=NRG", line.encode())
        self.send_response(202 if stopped else 201)
        body = b'{"environment":"bench","scenario":"load","step":"x"}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        pass


def main() -> None:
    """Serve until ended."""
    _Handler.influx_port = int(sys.argv[1])
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
