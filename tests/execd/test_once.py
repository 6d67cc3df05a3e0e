"""`energy-execd once` and `check`: exit codes, one line per mistake, nothing remembered that `run` needs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from execd.plugin import FAKE, PASSWORD, Plugin, fleet_text
from execd.waiting import wait_until


@pytest.fixture
def execd(tmp_path):
    """Run a command over a fleet of fake BMCs."""

    def _execd(*arguments, servers=(), text=None, timeout="2s", env=None):
        (tmp_path / "fleet.toml").write_text(text or fleet_text(*servers, timeout=timeout))
        command, *rest = arguments
        return subprocess.run(
            [sys.executable, FAKE, command, "--fleet", tmp_path / "fleet.toml", *rest],
            capture_output=True, text=True, timeout=180, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "BMC_PASSWORD": PASSWORD, "ENERGY_STATE_DIR": str(tmp_path / "s")}
            | (env or {}),
        )  # fmt: skip

    return _execd


@pytest.mark.parametrize(
    ("servers", "code"),
    [
        (("good-1", "good-2"), 0),
        (("good-1", "nodes-2"), 0),
        (("good-1", "dead-2"), 3),
        (("good-1", "zero-2"), 3),
        (("dead-1", "garbage-2", "hang-3"), 4),
        (("badclose-1",), 0),
    ],
)
def test_the_exit_code_says_how_many_are_up(execd, servers, code):
    """0 all, 3 some down, 4 all down; each BMC has its line in any case."""
    done = execd("once", servers=servers)
    assert done.returncode == code, done.stderr
    named = {line.split("server=")[1].split()[0].partition("/")[0] for line in done.stdout.splitlines()}
    assert named == set(servers)


def test_only_the_servers_that_were_named(execd):
    """An unknown one is a mistake in the configuration."""
    done = execd("once", "--server", "good-1", servers=("good-1", "dead-2"))
    assert done.returncode == 0
    assert "dead-2" not in done.stdout
    done = execd("once", "--server", "nobody", servers=("good-1",))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "E! no server 'nobody' in the fleet file; see: energy-execd check\n"


@pytest.mark.parametrize(
    ("command", "text", "message"),
    [
        ("once", "[[server]]\nid = 5\n", "[[server]] number 1: key 'id' is 5; allowed: a text"),
        ("run", fleet_text("good-1") + 'prot = "x"\n', "[[server]] 'good-1': unknown key 'prot'"),
        ("check", fleet_text("good-1", "good-1"), "server 'good-1' is given twice"),
        (
            "once",
            fleet_text("good-1").replace("BMC_PASSWORD", "NOT_SET"),
            "environment variable NOT_SET is not set",
        ),
        ("run", "x = \n", "not valid TOML"),
    ],
)
def test_a_mistake_in_the_fleet_is_one_line_and_exit_2(execd, tmp_path, command, text, message):
    """No traceback, nothing on stdout."""
    done = execd(command, text=text)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"E! {tmp_path / 'fleet.toml'}: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_fleet_file_and_no_server(execd, tmp_path):
    """Both say so."""
    done = execd("once", "--fleet", str(tmp_path / "none.toml"), servers=("good-1",))
    assert (done.returncode, done.stderr) == (
        2,
        f"E! {tmp_path / 'none.toml'}: cannot be read: No such file or directory\n",
    )
    done = execd("once")
    assert (done.returncode, done.stderr) == (2, f"E! {tmp_path}/fleet.toml: no enabled server\n")


def test_a_state_directory_that_cannot_be_made(execd, tmp_path):
    """The message holds the command that mends it."""
    (tmp_path / "file").write_text("")
    done = execd("once", servers=("good-1",), env={"ENERGY_STATE_DIR": str(tmp_path / "file" / "s")})
    assert done.returncode == 2
    assert "mend with: sudo install -d" in done.stderr


def test_a_limit_of_open_files_that_is_too_low_for_the_fleet(tmp_path):
    """Nobody is polled with half of the sockets missing; the limit is named."""
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(fleet_text(*(f"good-{number}" for number in range(1, 12))))
    command = [sys.executable, FAKE, "once", "--fleet", fleet, "--state", tmp_path / "s"]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 74; exec "$@"', "sh", *command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "BMC_PASSWORD": PASSWORD},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("E! 11 servers need 75 open files, the hard limit is 74 ")


def test_once_beside_a_run_disturbs_nothing(execd, tmp_path):
    """It uses no session of the run and leaves what that remembers as it is."""
    with Plugin(tmp_path, "good-1") as plugin:
        plugin.wait_for("good-1", 2)
        file = tmp_path / "state" / "execd" / "servers" / "good-1.json"
        before = file.read_text()
        done = execd("once", "--state", str(tmp_path / "state"), servers=("good-1",))
        assert done.returncode == 0
        assert file.read_text() == before
        plugin.end()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_once_logs_out(tmp_path, number, code):
    """A session left behind is one that others do not get."""
    (tmp_path / "fleet.toml").write_text(fleet_text("hang-1", timeout="60s"))
    process = subprocess.Popen(
        [sys.executable, FAKE, "once", "--fleet", tmp_path / "fleet.toml", "--state", tmp_path / "s"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "BMC_PASSWORD": PASSWORD},
    )  # fmt: skip
    with process:
        claims = tmp_path / "s" / "execd" / "lockouts.json"
        wait_until(lambda: claims.exists() and json.loads(claims.read_text())["claims"])
        process.send_signal(number)
        log = process.stderr.read()
        assert process.wait(60) == code
    assert "a library says bye" in log
    assert "Traceback" not in log


def test_refusals_count_over_ten_runs(execd, tmp_path):
    """A wrong shared password, 30 BMCs, `once` ten times: three are asked, once each within the minute."""
    servers = [f"refuse-{number}" for number in range(1, 31)]
    for attempt in range(10):
        done = execd("once", servers=servers)
        assert done.returncode == 4
        assert done.stdout.count('error="locked"') == 27
        assert done.stdout.count('error="auth"') == 3
        # Only a poll takes time; the other lines come from the guard.
        assert done.stdout.count("scrape_ms=0.0,") == (27 if attempt == 0 else 30)
    stored = json.loads((tmp_path / "s" / "execd" / "lockouts.json").read_text())
    assert [count for _, _, count, _ in stored["refusals"]] == [1, 1, 1]


def test_check_prints_the_fleet_expanded_and_masked(execd):
    """Ranges expanded, every setting that holds, secrets as stars."""
    text = (
        fleet_text("good-1", interval="1s")
        .replace("good-1", "node-[01-03]")
        .replace("10.0.0.1", "10.0.0.[7-9]")
    )
    text += 'tags = { rack = "r7" }\nkg = "{env=BMC_PASSWORD}"\n'
    text += '[[server]]\nid = "off"\nhost = "h"\nenabled = false\n'
    done = execd("check", text=text)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split() == [
        "node-01", "pod1", "redfish", "10.0.0.7", "1s", "5s", "verify", "lab",
        "(monitor:********)", "rack=r7", "kg=********",
    ]  # fmt: skip
    assert done.stdout.endswith("3 servers\ndisabled: off\n")
    assert PASSWORD not in done.stdout + done.stderr


def test_a_literal_password_warns_and_stays_hidden(execd):
    """In `check` as elsewhere."""
    done = execd("check", text=fleet_text("good-1").replace("{env=BMC_PASSWORD}", PASSWORD))
    assert done.returncode == 0
    assert "W! " in done.stderr
    assert "is a literal; use {env=NAME} or {file=PATH}" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_a_missing_library_prints_the_command_that_installs_it(execd, tmp_path):
    """Exit 2 at start, not an error per poll."""
    script = (
        "import sys; sys.modules['httptools'] = None\n"
        "from energyrecorder_execd.__main__ import main\n"
        f"sys.argv = ['energy-execd', 'once', '--fleet', {str(tmp_path / 'fleet.toml')!r}]\n"
        "main()\n"
    )
    (tmp_path / "fleet.toml").write_text(fleet_text("good-1"))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=180, check=False,
        env={**os.environ, "BMC_PASSWORD": PASSWORD, "ENERGY_STATE_DIR": str(tmp_path / "s")},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "E! protocol 'redfish' needs 'httptools', which is not installed; "
        "run: pip install 'energyrecorder[execd]'\n"
    )


def test_help_needs_none_of_the_libraries():
    """The command line itself imports neither httptools nor cryptography nor pyghmi."""
    script = (
        "import sys\nimport energyrecorder_execd.cli, energyrecorder_execd.readers.registry\n"
        "heavy = ('aiohttp', 'httptools', 'cryptography', 'orjson', 'pyghmi', 'redfish', 'asyncio')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=180, check=True
    )
    assert done.stdout == "[]\n"
