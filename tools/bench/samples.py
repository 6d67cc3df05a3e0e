"""Samples per second that the annotator stores, from a plugin of its own and through ``POST /v1/samples``.

Run as ``python -m bench.samples COUNT`` it is such a plugin: it prints so many readings, as fast as it can.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.annotator import annotator
from bench.measure import BUILD, Figure, cpu_of_process_s

SERVERS = 500
PER_BODY = 1000
"""What Telegraf sends at once."""
COUNT, QUICK_COUNT = 600_000, 100_000
SAMPLES_PER_S = 10_000.0
_DEADLINE_S = 300.0


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield how many samples a second are stored either way."""
    count = QUICK_COUNT if quick else COUNT
    BUILD.mkdir(exist_ok=True)
    for name, way in (("POST /v1/samples", _posted), ("the embedded host", _hosted)):
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            seconds, cpu_s = way(Path(folder), count)
        peer = f"{count:,} of {SERVERS} servers, {cpu_s / count * 1e6:.0f} µs of CPU each"
        yield Figure(f"samples: through {name}", count / seconds, "1/s", peer, SAMPLES_PER_S, at_least=True)


def _posted(folder: Path, count: int) -> tuple[float, float]:
    """Return the time until all are stored, and the service's CPU time, seconds."""
    with annotator(folder) as (process, port), _connected(port) as connection:
        before_s, began_s = cpu_of_process_s(process.pid), time.perf_counter()
        for first in range(0, count, PER_BODY):
            body = "".join(_lines(range(first, first + PER_BODY))).encode()
            while not _is_taken(connection, body):
                time.sleep(0.05)
        _wait_until_stored(connection, count)
        return time.perf_counter() - began_s, cpu_of_process_s(process.pid) - before_s


def _hosted(folder: Path, count: int) -> tuple[float, float]:
    plugin = f"[embedded]\ncommands = [['{sys.executable}', '-m', 'bench.samples', '{count}']]\n"
    with annotator(folder, plugin) as (process, port), _connected(port) as connection:
        began_s = time.perf_counter()
        _wait_until_stored(connection, count)
        return time.perf_counter() - began_s, cpu_of_process_s(process.pid)


def _is_taken(connection: http.client.HTTPConnection, body: bytes) -> bool:
    connection.request("POST", "/v1/samples", body, {"Content-Type": "text/plain"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status not in {200, 503}:
        raise RuntimeError(f"{answer.status} {text!r}")
    return answer.status == http.HTTPStatus.OK


def _wait_until_stored(connection: http.client.HTTPConnection, count: int) -> None:
    end_s = time.monotonic() + _DEADLINE_S
    while (stored := _counted(connection)) != count:
        if stored > count or time.monotonic() > end_s:
            raise RuntimeError(f"{stored} of {count} samples are stored")
        time.sleep(0.05)


def _counted(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    found = re.search(r"^energy_annotator_samples_stored_total (\S+)$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError("no count of stored samples in /metrics")
    return int(float(found[1]))


def _connected(port: int) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60))


def _lines(numbers: Sequence[int]) -> Iterator[str]:
    """Yield readings as energy-execd prints them: all servers each second, in the last hours."""
    from_s = int(time.time()) - 3600
    for number in numbers:
        second, server = divmod(number, SERVERS)
        yield (
            f"server_power,env=bench,scope=server,server=node-{server:03} "
            'accuracy_pct=1,backfill=0i,clock="poll",latency_ms=12.5,protocol="redfish",quantum_w=1,refresh_s=1,'
            f'side="ac",source="power_control",watts={300 + number % 97},window_s=1 '
            f"{(from_s + second) * 1_000_000_000 + server * 1_000_000}\n"
        )


def main() -> None:
    """Print the readings, then wait for the end as a plugin does."""
    count = int(sys.argv[1])
    for first in range(0, count, PER_BODY):
        sys.stdout.write("".join(_lines(range(first, min(first + PER_BODY, count)))))
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
