"""A reverse proxy before the annotator, whose link can be cut."""

from __future__ import annotations

import http.server
import threading

from support.annotator import Client


class Proxy:
    """A reverse proxy on loopback whose link to the service can be cut."""

    def __init__(self, port):
        proxy = self
        self.is_up = True
        self.refused = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self._body()
                if not proxy.is_up:
                    proxy.refused += 1
                    self.send_error(502)
                    return
                client = Client(port)
                passed = {**self.headers, "X-Forwarded-For": "10.0.0.1"}
                passed.pop("Transfer-Encoding", None)
                passed["Content-Length"] = str(len(body))
                status, headers, raw = client.ask(self.command, self.path, body, passed)
                client.close()
                self.send_response(status)
                self.send_header("Content-Type", headers["Content-Type"])
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def _body(self):
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            do_GET = do_POST  # noqa: N815  # the base class's name

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
