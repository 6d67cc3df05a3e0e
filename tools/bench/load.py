"""A process of clients, each starting and stopping one step after the other on a connection of its own.

Run as ``python -m bench.load PORT CLIENTS SECONDS``; prints one JSON object. Raw sockets, so that the client
takes as little as possible of the CPU that it shares with the service.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid

_DEADLINE_S = 30.0


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def post(self, path: str, body: str) -> int:
        raw = body.encode()
        kind = "Content-Type: application/json"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {len(raw)}\r\n\r\n"
        self._writer.write(head.encode() + raw)
        answer = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), _DEADLINE_S)
        length = int(answer.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await self._reader.readexactly(length)
        return int(answer.split(b" ", 2)[1])


async def _client(port: int, number: int, end_s: float, took_s: list[float]) -> int:
    connection = _Connection(*await asyncio.open_connection("127.0.0.1", port))
    steps = 0
    while time.perf_counter() < end_s:
        step_id = uuid.uuid4()
        began_s = time.perf_counter()
        start = f'{{"step_id":"{step_id}","env":"bench","scenario":"load","step":"client-{number}"}}'
        started = await connection.post("/v1/steps", start)
        halfway_s = time.perf_counter()
        stopped = await connection.post(f"/v1/steps/{step_id}/stop", '{"outcome":"passed"}')
        if (started, stopped) != (201, 202):
            raise RuntimeError(f"answers {started} and {stopped}")
        took_s += [halfway_s - began_s, time.perf_counter() - halfway_s]
        steps += 1
    return steps


async def _run(port: int, clients: int, seconds: float) -> dict[str, float]:
    began_s = time.perf_counter()
    took_s: list[float] = []
    counts = await asyncio.gather(
        *(_client(port, number, began_s + seconds, took_s) for number in range(clients))
    )
    duration_s = time.perf_counter() - began_s
    took_s.sort()
    return {
        "steps": sum(counts),
        "steps_per_s": sum(counts) / duration_s,
        "p50_ms": took_s[len(took_s) // 2] * 1e3,
        "p99_ms": took_s[int(len(took_s) * 0.99)] * 1e3,
        "client_cpu_s": time.process_time(),
    }


if __name__ == "__main__":
    import uvloop

    port, clients, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_run(port, clients, seconds))))
