"""`energy-step run`: the command's streams, signals and exit code are those without us."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from energyrecorder.cli import run as run_module


@pytest.fixture
def told(annotator, monkeypatch):
    monkeypatch.setenv("ENERGY_URL", annotator.url)
    monkeypatch.setenv("ENERGY_ENV", "pod1")
    return annotator.told


def python(code):
    return ["--", sys.executable, "-c", code]


def test_streams_and_exit_code_pass_through(told, energy_step, annotator):
    code = "import sys; print(sys.stdin.read()); print('err', file=sys.stderr); sys.exit(7)"
    done = energy_step("run", "--step", "s", *python(code), input="hello")
    assert (done.returncode, done.stdout, done.stderr) == (7, "hello\n", "err\n")
    (stop,) = [event for event in annotator.events if event["op"] == "stop"]
    assert (stop["outcome"], stop["exit_code"]) == ("failed", 7)


@pytest.mark.parametrize(
    ("command", "code"), [(["true"], 0), (["false"], 1), (["sh", "-c", "kill -9 $$"], 137)]
)
def test_exit_code_is_the_commands(told, energy_step, command, code):
    assert energy_step("run", "--", *command).returncode == code


def test_a_command_that_cannot_run_ends_as_in_a_shell(told, energy_step, tmp_path):
    (tmp_path / "text").write_text("not a program")
    for command, code in (("./missing", 127), ("./text", 126), (str(tmp_path), 126)):
        done = energy_step("run", "--", command)
        assert (done.returncode, command in done.stderr) == (code, True)


def test_alone_it_is_a_run_of_its_own_named_like_the_program(told, energy_step):
    energy_step("run", "--", "/bin/true")
    assert told() == [("start", "true", None), ("stop", "true", None)]


def test_scenario_and_step_are_told_both(told, energy_step, annotator):
    energy_step("run", "--scenario", "functest", "--step", "boot", "--", "true")
    assert told("start") == [("start", "functest", None), ("start", "functest", "boot")]
    assert annotator.events[1]["parent_id"] == annotator.events[0]["step_id"]


def test_within_a_started_scenario_it_is_a_step_of_it(told, energy_step, annotator):
    energy_step("start", "functest")
    energy_step("run", "--step", "boot", "--", "true")
    energy_step("stop")
    assert told("start") == [("start", "functest", None), ("start", "functest", "boot")]
    assert annotator.events[1]["parent_id"] == annotator.events[0]["step_id"]


def test_what_the_command_records_is_a_part_of_its_step(told, energy_step, annotator):
    code = "from energyrecorder import Energy, set_step\nwith set_step('inner'): pass\nEnergy.flush(60)"
    energy_step("start", "functest")
    energy_step("run", "--step", "outer", *python(code))
    starts = {event.get("step"): event for event in annotator.events if event["op"] == "start"}
    assert starts["inner"]["parent_id"] == starts["outer"]["step_id"]
    assert starts["inner"]["scenario"] == "functest"


def test_repetitions_are_one_bracket_whose_work_is_their_number(told, energy_step, annotator, tmp_path):
    count = f"import pathlib; p = pathlib.Path({str(tmp_path / 'n')!r}); p.open('a').write('x')"
    assert energy_step("run", "--step", "s", "--repeat", "3", "--warmup", "2", *python(count)).returncode == 0
    assert (tmp_path / "n").read_text() == "x" * 5
    assert told("start") == [("start", "s", None)]
    assert [event["work"] for event in annotator.events if event["op"] == "patch"] == [3]


def test_min_duration_repeats_until_it_has_passed(told, energy_step, annotator, tmp_path):
    command = ["sh", "-c", f"echo x >>{tmp_path / 'n'}"]
    assert energy_step("run", "--min-duration", "2s", "--", *command).returncode == 0
    start, stop = (next(event for event in annotator.events if event["op"] == op) for op in ("start", "stop"))
    assert stop["at"]["boot_ns"] - start["at"]["boot_ns"] >= 2e9
    times = len((tmp_path / "n").read_text().split())
    assert [event["work"] for event in annotator.events if event["op"] == "patch"] == [times] * (times > 1)


@pytest.mark.parametrize(
    ("at_least", "min_duration_s", "times"), [(1, 0.0, 1), (3, 0.0, 3), (1, 35.0, 4), (2, 5.0, 2)]
)
def test_count_and_duration_are_both_reached(monkeypatch, at_least, min_duration_s, times):
    clock = iter(range(0, 1000, 10))  # each look at it is ten seconds later than the one before
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    class Command:
        """Succeeds at once."""

        ended_by = None

        def once(self):
            return 0

    assert run_module._repeat(Command(), at_least, min_duration_s) == (0, times)


def test_the_first_failure_ends_a_repetition(told, energy_step, tmp_path):
    code = (
        f"import pathlib, sys; p = pathlib.Path({str(tmp_path / 'n')!r}); p.open('a').write('x'); sys.exit(4)"
    )
    assert energy_step("run", "--repeat", "5", *python(code)).returncode == 4
    assert (tmp_path / "n").read_text() == "x"


def test_a_failed_warm_up_is_not_measured(told, energy_step):
    done = energy_step("run", "--warmup", "1", "--", "false")
    assert (done.returncode, told()) == (1, [])


def test_rest_lies_outside_of_what_is_measured(told, energy_step, annotator):
    before_ns = time.time_ns()
    energy_step("run", "--rest", "1s", "--", "true")
    after_ns = time.time_ns()
    start, stop = annotator.events
    assert start["at"]["wall_ns"] - before_ns >= 1e9
    assert after_ns - stop["at"]["wall_ns"] >= 1e9


@pytest.mark.parametrize("url", ["closed", "black hole", "malformed"])
def test_the_command_runs_whatever_happens_to_the_recording(
    impatient, energy_step, closed_port, black_hole, url
):
    target = {"closed": closed_port, "black hole": black_hole, "malformed": "nonsense://"}[url]
    environment = {"ENERGY_URL": target, "ENERGY_ENV": "pod1", "ENERGY_SPOOL_DIR": "/proc/nowhere"}
    done = energy_step("run", *python("print('ran'); raise SystemExit(5)"), env=environment)
    assert (done.returncode, done.stdout) == (5, "ran\n")


def test_the_command_runs_in_a_folder_that_was_removed(energy_step, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os; os.rmdir({str(gone)!r}); os.execvp('sh', ['sh', '-c', 'exit 0'])"
    assert energy_step("run", *python(code), cwd=gone).returncode == 0


def test_the_command_does_not_wait_for_the_network(start_energy_step, annotator, told):
    annotator.mode = "hang"
    process = start_energy_step("run", "--", "sh", "-c", "echo ready; read go; exit 7", stdin=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    assert not annotator.released.is_set()
    annotator.released.set()
    process.stdin.write("go\n")
    process.stdin.close()
    assert process.wait(60) == 7


# Naps rather than `signal.pause`: a signal between the check for handlers and the pause would be slept over.
SIGNALLED = """
import signal, sys, time
def caught(number, frame):
    print("caught", number, flush=True)
    sys.exit(40)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
    signal.signal(number, caught)
print("ready", flush=True)
for nap in range(2000):
    time.sleep(0.05)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_forwarded_and_the_command_decides(told, annotator, start_energy_step, number):
    process = start_energy_step("run", *python(SIGNALLED), start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(60) == 40
    assert process.stdout.readline() == f"caught {int(number)}\n"
    (stop,) = [event for event in annotator.events if event["op"] == "stop"]
    assert stop["outcome"] == ("failed" if number == signal.SIGUSR1 else "aborted")


def test_a_command_that_dies_of_the_signal_gives_128_and_its_number(told, start_energy_step):
    process = start_energy_step("run", "--", "sh", "-c", "echo ready; exec sleep 100", start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM


@pytest.mark.skipif(
    sys.implementation.name == "pypy",
    reason="PyPy's getsignal does not tell what was ignored before it started",
)
def test_what_is_ignored_stays_ignored(told, energy_step):
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    code = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    assert energy_step("run", *python(code), preexec_fn=ignore).stdout == "True\n"


def test_descriptors_are_handed_on(told, energy_step):
    reading, writing = os.pipe()
    try:
        done = energy_step("run", *python(f"import os; os.write({writing}, b'x')"), pass_fds=(writing,))
        assert (done.returncode, os.read(reading, 1)) == (0, b"x")
    finally:
        os.close(reading)
        os.close(writing)


def test_a_command_whose_reader_leaves_ends_as_without_us(told, start_energy_step):
    # Python ignores SIGPIPE: a command that inherited that would write into nothing, for ever if it is `yes`.
    process = start_energy_step("run", "--", "yes")
    assert process.stdout.readline() == "y\n"
    process.stdout.close()
    assert process.wait(60) == 128 + signal.SIGPIPE


def test_a_signal_before_the_command_keeps_it_from_starting(told, start_energy_step, tmp_path):
    ran = tmp_path / "n"
    ran.touch()
    process = start_energy_step("run", "--warmup", "1", "--rest", "100s", "--", "sh", "-c", f"echo x >>{ran}")
    while not ran.read_text():  # the warm-up has done its work, it rests
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert ran.read_text() == "x\n"


def test_options_of_the_command_are_its_own(told, energy_step):
    done = energy_step(
        "run", "--", sys.executable, "-c", "import sys; print(sys.argv[1:])", "--step", "--help", "--"
    )
    assert done.stdout == "['--step', '--help', '--']\n"


def test_the_report_follows_on_stderr(told, energy_step, annotator):
    class Pages(dict):
        """Answers for any run."""

        def get(self, path, default=None):
            if path.startswith("/v1/runs/"):
                return {"run": RUN, "steps": []}
            return super().get(path, default)

    annotator.pages = Pages(annotator.pages)
    done = energy_step("run", "--report", "--", "echo", "out")
    assert done.stdout == "out\n"
    assert "1.00 ± 0.10 Wh" in done.stderr


RUN = {
    "run_id": "r",
    "env": "pod1",
    "scenario": "echo",
    "step": None,
    "state": "passed",
    "started_ns": 10**18,
    "duration_s": 10.0,
    "depth": 0,
    "result": {"energy_j": 3600.0, "u95_j": 360.0, "avg_w": 360.0, "quality": "resolved", "servers": 1},
}
