"""The samples for other outputs in a real Telegraf: annotator, Prometheus, and the watch on the collector."""

from __future__ import annotations

import gzip
import time
import urllib.error
import urllib.request

import pytest
from line_protocol_parser import parse_line

from influxd import free_port
from support import annotator
from support.bmcsim import PASSWORD
from support.fake_server import FakeServer
from support.proxy import Proxy
from support.stack import PROTOCOLS, three_bmcs
from support.telegraf import Telegraf

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.mark.parametrize("token", [None, "a-token-of-the-remote-site"])
def test_readings_reach_the_annotator(tmp_path, token):
    """Packed, by `outputs.http`; with and without a token."""
    folder = tmp_path / "annotator"
    folder.mkdir()
    more = "" if token is None else f'[listen]\ntoken = "{token}"\n'
    with three_bmcs(tmp_path), annotator.running(folder, more=more, token=token) as service:
        environ = {"ENERGY_URL": f"http://127.0.0.1:{service.port}", "ENERGY_TOKEN": token or ""}
        telegraf = Telegraf(tmp_path, BMC_PASSWORD=PASSWORD, **environ)
        telegraf.add("energy-fleet.conf").add("energy-annotator.conf.sample")
        client = service.client()
        window = f"from={time.time_ns()}&to={time.time_ns() + 300 * 10**9}"

        def arrived():
            found = client.get(f"/v1/power?env=lab&{window}&max_points=1000")["series"]
            totals = {s["server"] for s in found if s["scope"] == "server" and len(s["points"]) >= 2}
            return totals == set(PROTOCOLS)

        with telegraf:
            telegraf.until(arrived)
    assert "E! [outputs" not in telegraf.log


def test_what_telegraf_keeps_while_the_link_is_down_is_made_up_for(tmp_path):
    """Through a reverse proxy whose link is cut until three requests have failed."""
    folder = tmp_path / "annotator"
    folder.mkdir()
    with three_bmcs(tmp_path), annotator.running(folder) as service:
        proxy = Proxy(service.port)
        telegraf = Telegraf(tmp_path, BMC_PASSWORD=PASSWORD, ENERGY_URL=f"http://127.0.0.1:{proxy.port}")
        telegraf.add("energy-fleet.conf").add("energy-annotator.conf.sample")
        client = service.client()

        def newest(from_ns, to_ns):
            path = f"/v1/power?env=lab&server=dell-1&from={from_ns}&to={to_ns}&max_points=10000"
            return [p[0] for one in client.get(path)["series"] if one["part"] is None for p in one["points"]]

        try:
            with telegraf:
                began_ns = time.time_ns()
                telegraf.until(lambda: newest(began_ns, 2**62))
                proxy.is_up = False
                cut_ns = time.time_ns()
                telegraf.until(lambda: proxy.refused >= 3)
                mended_ns = time.time_ns()
                assert not newest(cut_ns + 2 * 10**9, 2**62), "nothing comes by while the link is down"
                proxy.is_up = True
                telegraf.until(lambda: newest(mended_ns, 2**62))
                kept = telegraf.until(lambda: newest(cut_ns, mended_ns))
        finally:
            proxy.stop()
    assert kept


def test_a_bucket_of_influxdb_2_gets_our_measurements_alone(tmp_path):
    """With token, organisation and bucket; the cpu input beside ours stays where it was."""
    server = FakeServer(lambda *_: (204, b"", {}))
    environ = {"ENERGY_INFLUX_URL": server.url, "ENERGY_INFLUX_TOKEN": "t", "ENERGY_INFLUX_ORG": "lab"}
    try:
        with three_bmcs(tmp_path):
            telegraf = Telegraf(tmp_path, main="[[inputs.cpu]]\n", BMC_PASSWORD=PASSWORD, **environ)
            telegraf.add("energy-fleet.conf").add("energy-influxdb-v2.conf.sample")

            def written():
                return [
                    parse_line(line)
                    for _, _, _, body, headers in list(server.requests)
                    for line in unpacked(body, headers).decode().splitlines()
                ]

            with telegraf:
                telegraf.until(lambda: {one["tags"]["server"] for one in written()} == set(PROTOCOLS))
        points = written()
    finally:
        server.close()
    assert {one["measurement"] for one in points} <= {"server_power", "server_bmc", "server_info"}
    assert not any("host" in one["tags"] for one in points)
    for method, path, query, _, headers in server.requests:
        assert (method, path, headers["Authorization"]) == ("POST", "/api/v2/write", "Token t")
        assert (query["org"], query["bucket"]) == ("lab", "energyrecorder")


def unpacked(body, headers):
    return gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body


def test_prometheus_sees_power_and_nothing_else(tmp_path):
    """Two names, labels of the schema, no text."""
    port = free_port()
    with three_bmcs(tmp_path):
        telegraf = Telegraf(tmp_path, BMC_PASSWORD=PASSWORD).add("energy-fleet.conf")
        telegraf.add("energy-prometheus.conf.sample", ("127.0.0.1:9273", f"127.0.0.1:{port}"))

        def scraped():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    text = answer.read().decode()
            except urllib.error.URLError:
                return None
            return (
                text
                if all(f'server_bmc_up{{env="lab",server="{name}"}} 1' in text for name in PROTOCOLS)
                else None
            )

        with telegraf:
            text = telegraf.until(scraped)
    series = [line for line in text.splitlines() if not line.startswith("#")]
    assert any(line.startswith("server_power_watts{") for line in series)
    allowed = (
        "server_power_watts{",
        "server_power_energy_counter_j{",
        "server_bmc_up{",
        "server_bmc_scrape_ms{",
    )
    assert all(line.startswith(allowed) for line in series), series
    assert not any("host=" in line for line in series)


def test_the_watch_counts_the_collectors_lines_alone(tmp_path):
    """Other inputs of the same Telegraf are not in `energy_telegraf`."""
    file = tmp_path / "lines"
    main = f'\n[[inputs.cpu]]\n[[outputs.file]]\n  files = ["{file}"]\n'
    with three_bmcs(tmp_path):
        telegraf = Telegraf(tmp_path, main=main, BMC_PASSWORD=PASSWORD)
        telegraf.add("energy-fleet.conf").add("energy-watch.conf.sample")

        def counted():
            if not file.exists():
                return None
            points = [
                parse_line(line)
                for line in file.read_text().splitlines()
                if line.startswith("energy_telegraf")
            ]
            return points if points and points[-1]["fields"]["metrics_gathered"] >= 6 else None

        with telegraf:
            points = telegraf.until(counted)
    assert {tuple(sorted(p["tags"].items())) for p in points} == {
        (("alias", "energy-fleet"), ("input", "execd"))
    }
    assert all(set(p["fields"]) <= {"metrics_gathered", "errors", "gather_errors"} for p in points)


def test_the_watch_on_the_annotator_tells_what_waits(tmp_path):
    """For a webhook that is away, and on a client's disk; by the tags sink and env alone."""
    file = tmp_path / "lines"
    folder = tmp_path / "annotator"
    folder.mkdir()
    webhook = f'[webhook]\nurl = "http://127.0.0.1:{free_port()}/"\n'
    token = "a-token"
    with annotator.running(folder, more=f'[listen]\ntoken = "{token}"\n{webhook}', token=token) as service:
        annotator.begin(service.client(), "pod1")
        spool = {"env": "pod1", "size_bytes": 51200, "oldest_s": 3600.5}
        service.client().post("/v1/batch", {"items": [], "spool": spool})
        environ = {"ENERGY_URL": f"http://127.0.0.1:{service.port}", "ENERGY_TOKEN": token}
        telegraf = Telegraf(tmp_path, main=f'\n[[outputs.file]]\n  files = ["{file}"]\n', **environ)
        telegraf.add("energy-watch-annotator.conf.sample")

        def points():
            lines = file.read_text().rpartition("\n")[0].splitlines() if file.exists() else []
            return [parse_line(line) for line in lines]

        def values(name):
            return {one["fields"].get(f"energy_annotator_{name}") for one in points()}

        with telegraf:
            telegraf.until(lambda: 1 in values("sink_backlog") and 0 in values("sink_up"))
    assert {(one["measurement"], *one["tags"].items()) for one in points()} == {
        ("energy_annotator", ("sink", "webhook")),
        ("energy_annotator", ("env", "pod1")),
    }
    assert (values("spool_bytes"), values("spool_oldest_seconds")) == ({None, 51200}, {None, 3600.5})
