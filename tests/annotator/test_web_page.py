"""The web page: what is measured now and what ran, for those who may see it, whatever names there are."""

import base64
import time
from html.parser import HTMLParser

from energyrecorder_annotator.auth.tokens import create_token
from support.annotator import begin, error, running

SECOND_NS = 1_000_000_000
HOSTILE = '</table><script>alert(1)</script><img src=x onerror="alert(2)">&amp;\u202e\x00"\''


class Page(HTMLParser):
    """Elements, links and text of a page; elements that are never closed are found."""

    VOID = frozenset({"meta", "input", "path"})

    def __init__(self, raw):
        super().__init__()
        self.tags, self.links, self.attributes, self.open, self.words = set(), [], [], [], []
        self.feed(raw.decode())
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [name for name, _ in attrs]
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def page(client, path="/"):
    status, headers, raw = client.ask("GET", path)
    assert status == 200, raw
    assert headers["Content-Type"].startswith("text/html")
    return Page(raw)


def push(client, env, server, watts, *, age_s=0.0, host="on"):
    """Send ten minutes of readings, the newest ``age_s`` ago."""
    newest_ns = time.time_ns() - int(age_s * 1e9)
    series = f"server_power,env={env},server={server},scope=server watts={watts},window_s=0"
    lines = [f"{series} {newest_ns - n * 10 * SECOND_NS}" for n in range(60)]
    lines.append(f'server_bmc,env={env},server={server} up=1i,host="{host}",error="" {newest_ns}')
    status, _, raw = client.ask("POST", "/v1/samples", "\n".join(lines).encode())
    assert status == 200, raw


def test_an_empty_service_says_how_to_begin(tmp_path):
    with running(tmp_path) as annotator:
        shown = page(annotator.client())
    assert "No run yet" in shown.text
    assert "No server reported" in shown.text
    assert "script" not in shown.tags


def test_servers_show_their_last_reading_and_what_is_missing(annotator, client, env):
    push(client, env, "n1", 100.0)
    push(client, env, "n2", 250.0)
    push(client, env, "n3", 0.0, host="off")
    annotator.until(lambda: "350 W · 3 servers" in page(client, f"/?env={env}").text)
    push(client, env, "late", 999.0, age_s=300)
    shown = annotator.until(lambda: "late" in (one := page(client, f"/?env={env}")).text and one)
    assert "350 W · 3 of 4 servers" in shown.text, "what is not known is not counted"
    assert "999 W 5 min" in shown.text
    assert "svg" in shown.tags
    assert f"?env={env}" in page(client).links


def test_a_run_shows_its_step_while_it_runs_and_its_energy_after(annotator, client, env):
    push(client, env, "n1", 250.0)
    annotator.until(lambda: "1 server" in page(client, f"/?env={env}").text)
    start_ns = time.time_ns() - 300 * SECOND_NS
    run_id, _ = begin(client, env, title="nightly", url="https://ci.example/7", started_at=start_ns)
    begin(client, env, step="outer", parent_id=run_id)
    inner_id, _ = begin(client, env, step="vping", parent_id=run_id)
    shown = page(client, f"/?env={env}")
    assert "▶ running functest nightly now: vping job" in shown.text
    client.post(f"/v1/steps/{inner_id}/stop", {"outcome": "passed"})
    assert "now: outer" in page(client, f"/?env={env}").text
    client.post(f"/v1/steps/{run_id}/stop", {"outcome": "failed", "ended_at": start_ns + 120 * SECOND_NS})
    annotator.until(lambda: "✗ failed functest" in page(client, f"/?env={env}").text)
    shown = annotator.until(
        lambda: " Wh 250 W resolved" in (one := page(client, f"/?env={env}")).text and one
    )
    assert "2 min 00 s" in shown.text
    report = f"v1/runs/{run_id}/report.html"
    assert report in shown.links
    assert client.ask("GET", f"/{report}")[0] == 200
    assert "https://ci.example/7" in shown.links


def test_runs_are_chosen_and_turned_over(client, env):
    ids = [begin(client, env, started_at=time.time_ns() - n * SECOND_NS)[0] for n in range(52)]
    for step_id in ids[:2]:
        client.post(f"/v1/steps/{step_id}/stop", {"outcome": "aborted"})
    first = page(client, f"/?env={env}&scenario=&state=")
    [older] = [link for link in first.links if "cursor=" in link]
    second = page(client, f"/{older}")
    seen = [[link for link in one.links if "report.html" in link] for one in (first, second)]
    assert [len(links) for links in seen] == [50, 2]
    assert len({link for links in seen for link in links}) == 52
    assert not [link for link in second.links if "cursor=" in link]
    aborted = page(client, f"/?env={env}&state=aborted")
    assert len([link for link in aborted.links if "report.html" in link]) == 2
    assert "No run is like that" in page(client, f"/?env={env}&scenario=other").text
    assert error(client.json("GET", "/?state=nonsense")) == (422, "invalid_request")
    assert error(client.json("GET", "/?cursor=nonsense")) == (422, "invalid_request")


def test_it_is_asked_for_again_only_when_wanted(client):
    assert b"http-equiv" not in client.ask("GET", "/")[2]
    assert b'http-equiv="refresh"' in client.ask("GET", "/?refresh=1")[2]


def test_names_stay_text_and_links_are_http(client, env):
    hostile_env = env + HOSTILE
    run_id, _ = begin(client, hostile_env, scenario=HOSTILE, title=HOSTILE, url="javascript:alert(1)")
    begin(client, hostile_env, scenario=HOSTILE, step=HOSTILE + "x" * 10_000, parent_id=run_id)
    shown = page(client)
    assert not shown.tags & {"script", "img"}
    assert not [name for name in shown.attributes if name.startswith("on")]
    assert not [link for link in shown.links if link.startswith("javascript")]
    assert "<script>alert(1)</script>" in shown.text
    _, headers, raw = client.ask("GET", "/")
    assert len(raw) < 200_000, "long names are shortened"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "script" not in headers["Content-Security-Policy"]


def test_who_may_not_read_sees_nothing_and_a_site_sees_its_own(tmp_path):
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "tokens.json"
    tokens = {site: create_token(path, site, ["read", "write"], [f"{site}-*"]) for site in ("a", "b")}
    writer = create_token(path, "w", ["write"], [])
    with running(tmp_path) as annotator:
        for site, token in tokens.items():
            mine = annotator.client(token)
            push(mine, f"{site}-1", f"{site}-node", 100.0)
            begin(mine, f"{site}-1", scenario=f"{site}-scenario")
            annotator.until(lambda m=mine, s=site: f"{s}-node" in page(m).text)
        for asked in ("/", "/?env=b-1", "/?scenario=b-scenario"):
            text = page(annotator.client(tokens["a"]), asked).text
            assert not [word for word in ("b-node", "b-1 ", "▶ running b-scenario") if word in text]
        status, headers, _ = annotator.client(None).ask("GET", "/")
        assert (status, headers["WWW-Authenticate"][:5]) == (401, "Basic"), "so that a browser asks"
        assert annotator.client(writer).ask("GET", "/")[0] == 403
        basic = base64.b64encode(f"anybody:{tokens['b']}".encode()).decode()
        _, _, raw = annotator.client(None).ask("GET", "/", headers={"Authorization": f"Basic {basic}"})
        assert b"b-node" in raw
