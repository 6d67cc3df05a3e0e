"""A small HTTP server on loopback whose answers the test decides; for peers that cannot be installed."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class FakeServer:
    """Serves until closed; ``answer(method, path, query, body, headers)`` gives (status, body, headers).

    A body that is not bytes is sent as JSON. Every request is kept in ``requests``. As a context manager it
    closes itself.
    """

    def __init__(self, answer) -> None:
        self.answer = answer
        self.requests = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _handler(self):
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are sent apart

            def _serve(self) -> None:
                body = self._body()
                target = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(target.query).items()}
                fake.requests.append((self.command, target.path, query, body, self.headers))
                status, content, headers = fake.answer(self.command, target.path, query, body, self.headers)
                raw = content if isinstance(content, bytes) else json.dumps(content).encode()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it did not wait for us
                    self._send(status, raw, headers)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _send(self, status, raw, headers) -> None:
                self.send_response_only(status)
                if "Date" not in headers:
                    self.send_header("Date", self.date_time_string())
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                if status != 204:
                    self.wfile.write(raw)

            do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815  # names of the base class

            def log_message(self, *_: object) -> None:
                return

        return Handler
