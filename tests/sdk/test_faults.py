"""Whatever goes wrong around the SDK: results, output and exit code are those without it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from energyrecorder.spool_line import decode, encode

PROGRAM = """
import sys
from energyrecorder import Energy, enable_recording, set_step
@enable_recording("functest")
def run():
    with set_step("boot"):
        print("out")
        print("err", file=sys.stderr)
    return 7
print(run())
raise SystemExit(3)
"""
OURS = "energyrecorder: "
HANGS_S = 100
"""How long a hanging service or look-up holds whoever waits for it."""


@pytest.fixture
def run(python):
    """Return a function that runs the program and checks that it is the same as without us."""

    def run_program(url, code=PROGRAM, **more):
        environ = {**os.environ, "ENERGY_URL": url, "ENERGY_ENV": "pod1", **more}
        before = time.monotonic()
        done = python(code, env=environ)
        assert time.monotonic() - before < HANGS_S / 3
        notices = [line for line in done.stderr.splitlines() if line.startswith(OURS)]
        theirs = [line for line in done.stderr.splitlines() if not line.startswith(OURS)]
        assert (done.returncode, done.stdout, theirs) == (3, "out\n7\n", ["err"])
        return notices

    return run_program


@pytest.mark.parametrize("service", ["closed_port", "black_hole"])
def test_a_service_that_takes_no_connection(request, impatient, run, spool_lines, service):
    notices = run(request.getfixturevalue(service))
    # Refused it is told; a black hole may not have been found out when the program ends.
    assert len(notices) == 1 or (service == "black_hole" and not notices)
    assert len({(line["op"], line["step_id"]) for line in spool_lines()}) == 4


@pytest.mark.parametrize("mode", ["409", "429", "500", "401", "html", "cut", "hang"])
def test_answers_that_are_no_success(annotator, impatient, run, spool_lines, mode):
    annotator.mode = mode
    notices = run(annotator.url)
    assert len(notices) == 1 or (mode == "hang" and not notices)
    assert len({(line["op"], line["step_id"]) for line in spool_lines()}) == 4


@pytest.mark.parametrize("status", [409, 429])
def test_an_item_in_conflict_is_told_and_dropped_and_one_too_many_is_kept(
    annotator, run, spool_lines, status
):
    annotator.refuse = {"boot": status}
    notices = run(annotator.url)
    assert ["refused" in notice for notice in notices] == ([True, True] if status == 409 else [])
    assert len(spool_lines()) == (0 if status == 409 else 2)
    assert [scenario for _, scenario, _ in annotator.told()] == ["functest", "functest"]


def test_a_name_that_does_not_exist(impatient, run, spool_lines):
    # RFC 6761: names below .invalid never exist. A look-up has no limit, the end has.
    # Without a resolver it may take longer: then nothing is told yet when the program ends.
    notices = run("http://annotator.invalid:8742")
    assert all("steps are kept" in notice for notice in notices)
    assert len({(line["op"], line["step_id"]) for line in spool_lines()}) == 4


def test_a_look_up_that_hangs_delays_the_end_for_a_moment(impatient, run, spool_lines):
    code = PROGRAM.replace(
        "import sys\n",
        f"import sys, socket, time\nsocket.getaddrinfo = lambda *a, **k: time.sleep({HANGS_S})\n",
        1,
    )
    run("http://annotator.example:8742", code)
    assert len({(line["op"], line["step_id"]) for line in spool_lines()}) == 4


def test_a_proxy_that_is_away(run, closed_port, spool_lines):
    run("http://energy.example:8742", HTTP_PROXY=closed_port, http_proxy=closed_port)
    assert len(spool_lines()) == 4


def test_proxies_are_not_used_for_this_machine(annotator, run, closed_port):
    assert run(annotator.url, HTTP_PROXY=closed_port, http_proxy=closed_port, ALL_PROXY=closed_port) == []
    assert len(annotator.events) == 4


@pytest.mark.parametrize("spool", ["/sys/spool", "/proc/nowhere", "/dev/full/spool", "file"])
def test_a_spool_that_cannot_be_written(run, closed_port, tmp_path, spool):
    (tmp_path / "file").write_text("")
    notices = run(
        closed_port, ENERGY_SPOOL_DIR=spool if spool[0] == "/" else str(tmp_path / "file" / "spool")
    )
    assert any("cannot be written" in notice for notice in notices)


def test_a_full_disk(run, closed_port, python, tmp_path):
    code = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    notices = run(closed_port, code + PROGRAM)
    assert any("steps are dropped" in notice for notice in notices)
    files = list((tmp_path / "spool").rglob("events.jsonl"))
    assert all(
        decode(line) is not None for file in files for line in file.read_bytes().splitlines(keepends=True)
    )


def test_an_annotator_that_comes_back_gets_what_was_kept_with_its_times(
    annotator, run, spool_lines, tmp_path
):
    annotator.mode = "500"
    run(annotator.url)
    # An hour passes: both clocks of what was kept lie that far back.
    (file,) = (tmp_path / "spool").rglob("events.jsonl")
    events = [decode(line) for line in file.read_bytes().splitlines()]
    for event in events:
        event["at"]["wall_ns"] -= 3_600 * 10**9
        event["at"]["boot_ns"] -= 3_600 * 10**9
    file.write_bytes(b"".join(encode(event) for event in events))
    annotator.mode = "up"
    run(annotator.url)
    assert annotator.events[:4] == events
    assert len(annotator.events) == 8
    assert spool_lines() == []


def test_a_corrupt_line_is_kept_aside_and_told_once(annotator, run, tmp_path, spool_lines):
    annotator.mode = "500"
    run(annotator.url)
    (file,) = (tmp_path / "spool").rglob("events.jsonl")
    file.write_bytes(b"\xff\x00garbage\n" + file.read_bytes() + b'{"op": "start", "cut off')
    annotator.mode = "up"
    (notice,) = run(annotator.url)
    assert "unreadable lines" in notice
    assert len(annotator.events) == 8
    assert len((file.parent / "corrupt.jsonl").read_bytes().splitlines()) == 2


def test_a_clock_that_steps_in_mid_run_leaves_the_length_of_a_step(annotator, run):
    code = PROGRAM.replace(
        'print("out")',
        'print("out"); from energyrecorder import api; now = api._recorder._now\n'
        "        api._recorder._now = lambda: now()._replace(wall_ns=now().wall_ns - 3600 * 10**9)",
    )
    assert run(annotator.url, code) == []
    start, stop = annotator.events[1], annotator.events[2]
    assert stop["at"]["wall_ns"] < start["at"]["wall_ns"]
    assert 0 < stop["at"]["boot_ns"] - start["at"]["boot_ns"] < 5 * 10**9


def test_http_client_patched_by_the_recorded_function(annotator, run):
    code = PROGRAM.replace(
        'print("out")',
        'print("out")\n'
        "        from unittest import mock\n"
        '        with mock.patch("http.client.HTTPConnection") as c, \\\n'
        '             mock.patch("urllib.request.urlopen") as u, mock.patch("socket.socket.connect") as s:\n'
        "            with set_step('inner'): pass\n"
        "            Energy.flush()\n"
        "        assert not (c.called or u.called or s.called)",
    )
    assert run(annotator.url, code) == []
    assert ("stop", "functest", "inner") in annotator.told()


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_an_end_without_exit_handlers_loses_the_last_events_at_most(annotator, python, end):
    code = f"""
import os, signal
from energyrecorder import Energy, enable_recording, set_step
with enable_recording("functest"):
    with set_step("boot"): pass
    Energy.flush()
    {end}
"""
    environ = {**os.environ, "ENERGY_URL": annotator.url, "ENERGY_ENV": "pod1"}
    done = python(code, env=environ)
    assert (done.returncode, done.stdout, done.stderr) == (3 if "_exit" in end else -signal.SIGKILL, "", "")
    assert annotator.told() == [
        ("start", "functest", None),
        ("start", "functest", "boot"),
        ("stop", "functest", "boot"),
    ]


def test_a_fork_while_events_are_under_way(annotator, run):
    code = """
import os
from energyrecorder import set_step
""" + PROGRAM.replace(
        'print("out")',
        'print("out", flush=True)\n'
        "        import os\n"
        "        for _ in range(5):\n"
        "            child = os.fork()\n"
        "            if child == 0:\n"
        "                with set_step('child'): pass\n"
        "                Energy.flush()\n"
        "                os._exit(0)\n"
        "            assert os.waitpid(child, 0)[1] == 0",
    )
    assert run(annotator.url, code) == []
    assert annotator.told().count(("stop", "functest", "child")) == 5
    assert len({(event["op"], event["step_id"]) for event in annotator.events}) == len(annotator.events) == 14


def test_a_thread_left_running_at_the_end(annotator, run):
    code = PROGRAM.replace(
        "print(run())",
        "import threading, time\n"
        "def forever():\n"
        "    while True:\n"
        "        with set_step('late'): time.sleep(0.001)\n"
        "threading.Thread(target=forever, daemon=True).start()\n"
        "print(run())",
    )
    run(annotator.url, code)
    assert ("stop", "functest", None) in annotator.told()


def test_two_programs_of_one_user_at_once_share_the_spool(closed_port, annotator, energy_step, spool_lines):
    code = "from energyrecorder import set_step\nfor n in range(200):\n    with set_step('s'): pass"
    environ = {**os.environ, "ENERGY_URL": closed_port, "ENERGY_ENV": "pod1"}
    programs = [
        subprocess.Popen([sys.executable, "-c", code], env=environ, stderr=subprocess.DEVNULL) for _ in "ab"
    ]
    assert [program.wait(60) for program in programs] == [0, 0]
    kept = [(line["op"], line["step_id"]) for line in spool_lines()]
    assert len(kept) == len(set(kept)) == 800


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "\n",
        "a\nb",
        "\x00",
        "\ud800",
        "ä€😀",
        '"',
        "\\",
        "x" * 10_000,
        "a,b=c d",
        "\u202egnp",
        "{}%s",
    ],
    ids=ascii,
)
def test_names_with_every_character(annotator, run, name):
    code = PROGRAM.replace('"boot"', ascii(name)).replace('"functest"', ascii(name))
    assert run(annotator.url, code) == []
    assert len(annotator.events) == 4
    told = annotator.events[1]["step"]
    expected = name if name.strip() else "unnamed"
    assert told == expected.encode("utf-8", "replace").decode()
