"""What a command does when its output cannot be written, or is closed: a line, exit code 1, no traceback."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from energyrecorder.errors import refusal_text

BIN = Path(sys.executable).parent
FLEET = """
[credentials.lab]
user = "monitor"
password = "{env=BMC_PASSWORD}"
[[server]]
id = "a"
host = "127.0.0.1:1"
protocol = "redfish"
credentials = "lab"
"""
PRINTING = {
    "energy-execd": ("check", "--fleet", "fleet.toml"),
    "energy-annotator": ("check", "--fleet", "fleet.toml"),
    "energy-bmcsim": ("payloads",),
    "energy-step": ("--version",),
}


@pytest.fixture
def called(tmp_path):
    """Return a function that runs a command with its output in a file, and returns exit code and stderr."""
    (tmp_path / "fleet.toml").write_text(FLEET)

    def call(shell_text):
        done = subprocess.run(
            ["sh", "-c", shell_text], stderr=subprocess.PIPE, text=True, timeout=120, check=False,
            stdin=subprocess.DEVNULL, cwd=tmp_path,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "ENERGY_STATE_DIR": str(tmp_path / "s"),
                 "BMC_PASSWORD": "secret"},
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    return call


@pytest.mark.parametrize(("command", "arguments"), PRINTING.items())
def test_a_full_disk_is_said_in_one_line(called, command, arguments):
    """Of each of our commands."""
    code, told = called(f"{command} {' '.join(arguments)} > /dev/full")
    assert (code, told.count("\n")) == (1, 1)
    assert told.endswith("output: No space left on device\n")


def test_readings_that_cannot_be_written_are_no_success(called):
    """`once` over BMCs that are down ends with 4 as long as its lines were written."""
    assert called("energy-execd once --fleet fleet.toml > out")[0] == 4
    code, told = called("energy-execd once --fleet fleet.toml > /dev/full")
    assert (code, told.splitlines()[-1]) == (1, "E! output: No space left on device")
    code, told = called("mkfifo f; exec 3<>f; energy-execd run --fleet fleet.toml <&3 > /dev/full")
    assert (code, told.splitlines()[-1]) == (1, "E! output: No space left on device")


@pytest.mark.parametrize("command", ["once", "run"])
def test_a_closed_output_is_a_mistake(called, command):
    """Descriptor 1 would be the next file or socket that is opened."""
    assert called(f"energy-execd {command} --fleet fleet.toml >&-") == (
        2,
        "E! standard output is closed; the lines need one\n",
    )


@pytest.mark.parametrize("code", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.EMFILE])
def test_what_is_not_of_the_output_is_not_said_to_be(code):
    assert refusal_text(OSError(code, os.strerror(code))) == os.strerror(code)


def test_a_name_that_nobody_knows_is_not_said_of_the_output():
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert refusal_text(unknown) == "Name or service not known"


def test_a_file_is_named(tmp_path):
    """Where the system says which."""
    with pytest.raises(FileNotFoundError) as refused:
        (tmp_path / "none").read_text()
    assert refusal_text(refused.value) == f"{tmp_path}/none: No such file or directory"
