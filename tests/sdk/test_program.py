"""Whole programs that record: what arrives by their end, and that they notice nothing of it."""

import os
import time

import pytest

HANGS_S = 100
"""How long a hanging service holds whoever waits for it; what does not wait takes next to nothing."""
PROGRAM = """
from energyrecorder import Energy, enable_recording, set_step
@enable_recording("functest")
def run():
    with set_step("boot"):
        pass
    Energy.set_step("last")
    return 7
print(run())
"""


def environment(url, **more):
    return {**os.environ, "ENERGY_URL": url, "ENERGY_ENV": "pod1", **more}


def test_a_program_delivers_before_it_ends(annotator, python):
    done = python(PROGRAM, env=environment(annotator.url))
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
    assert annotator.told("stop") == [
        ("stop", "functest", "boot"),
        ("stop", "functest", "last"),
        ("stop", "functest", None),
    ]


@pytest.mark.parametrize("mode", ["500", "html", "cut", "hang"])
def test_output_and_exit_code_are_those_without_us(annotator, impatient, python, mode):
    annotator.mode = mode
    before = time.monotonic()
    done = python(PROGRAM + "raise SystemExit(3)", env=environment(annotator.url))
    assert (done.returncode, done.stdout) == (3, "7\n")
    assert all(line.startswith("energyrecorder: ") for line in done.stderr.splitlines())
    assert time.monotonic() - before < HANGS_S / 3


def test_disabled_records_and_says_nothing(annotator, python, spool_lines):
    done = python(PROGRAM, env=environment(annotator.url, ENERGY_DISABLED="1"))
    assert (done.stdout, done.stderr) == ("7\n", "")
    assert annotator.requests == []
    assert spool_lines() == []


def test_what_is_open_when_the_program_ends_is_aborted(annotator, python):
    python("from energyrecorder import Energy; Energy.start('functest')", env=environment(annotator.url))
    assert [(event["op"], event.get("outcome")) for event in annotator.events] == [
        ("start", None),
        ("stop", "aborted"),
    ]


def test_a_program_that_patches_what_we_use_is_recorded_and_sees_no_call_of_ours(annotator, python):
    code = """
import time, socket, uuid
from unittest import mock
from energyrecorder import set_step
@set_step("patched")
def test():
    with mock.patch("socket.socket") as s, mock.patch("time.time_ns", return_value=5), \\
         mock.patch("time.monotonic", return_value=5.0), mock.patch("uuid.uuid4", return_value=5), \\
         mock.patch("socket.getaddrinfo") as g, mock.patch("socket.create_connection") as c:
        with set_step("inner"):
            pass
        from energyrecorder import api
        api._client.flush()
    print(s.called, g.called, c.called)
test()
"""
    done = python(code, env=environment(annotator.url))
    assert (done.stdout, done.stderr) == ("False False False\n", "")
    assert len({event["step_id"] for event in annotator.events}) == 2
    assert len(annotator.events) == 4
    assert all(event["at"]["wall_ns"] > 10**18 for event in annotator.events)


PROCESSES = """
        workers = [fork.Process(target=work, args=(n,)) for n in range(2)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
"""
POOL = """
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=fork) as pool:
            list(pool.map(work, range(2)))
"""


@pytest.mark.parametrize("children", [PROCESSES, POOL], ids=["multiprocessing", "concurrent.futures"])
def test_child_processes_deliver_before_they_end(annotator, python, children):
    code = f"""
import concurrent.futures, multiprocessing
from energyrecorder import set_step
fork = multiprocessing.get_context("fork")
def work(n):
    with set_step(f"child {{n}}"):
        pass
if __name__ == "__main__":
    with set_step("parent"):{children}"""
    done = python(code, env=environment(annotator.url))
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(step for _, _, step in annotator.told("stop") if step) == ["child 0", "child 1"]
    assert len(annotator.told("stop")) == 3


def test_a_mistake_in_the_file_is_told_and_the_program_goes_on(annotator, python, tmp_path):
    pytest.importorskip("tomllib", reason="reading TOML needs Python 3.11")
    (tmp_path / "energyrecorder.toml").write_text('urll = "x"')
    done = python(PROGRAM, env=environment(annotator.url))
    assert (done.returncode, done.stdout) == (0, "7\n")
    assert "unknown key 'urll'" in done.stderr
    assert len(annotator.events) == 6


def test_a_child_process_is_a_part_of_the_scope_whose_environ_it_got(annotator, python):
    code = """
import os, subprocess, sys
from energyrecorder import Energy, set_step
with set_step("outer"):
    inner = "from energyrecorder import Energy, set_step\\nwith set_step('inner'): pass\\nEnergy.flush(60)"
    subprocess.run([sys.executable, "-c", inner], env={**os.environ, **Energy.current().environ}, check=True)
"""
    python(code, env=environment(annotator.url))
    by_name = {
        event.get("step") or event["scenario"]: event for event in annotator.events if event["op"] == "start"
    }
    assert by_name["inner"]["parent_id"] == by_name["outer"]["step_id"]
    assert by_name["inner"]["scenario"] == "outer"
