"""`energy-execd run` as a process: what Telegraf sees on the pipes and when it ends."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from itertools import pairwise

import pytest

from energyrecorder_execd import runner
from energyrecorder_execd.output import PAUSE_S
from execd.plugin import FAKE, PASSWORD, Plugin, fleet_text
from execd.waiting import wait_until

PROTOCOL_LINE = re.compile(r"(server_power|server_bmc|server_info),\S+ \S.* \d{19}\n")


BUSY_MACHINE_S = 30.0
"""Bound for what takes seconds by itself; how long is fixed by constants, which have a test of their own."""


def test_the_waits_at_the_end_add_up_to_what_is_promised():
    """4.5 s after the end of input with a gather that hangs, 2 s after a signal, each with hung log-outs."""
    last_s = runner.LOG_OUT_S + PAUSE_S + runner.FORCE_EXIT_S
    assert runner.GATHER_S + runner.CUT_S + last_s <= 4.5 + 1e-9
    assert 3 * runner.CUT_S + last_s <= 2.0


def test_a_newline_polls_at_once_what_was_not_polled_and_queued_ones_count_as_one(tmp_path):
    """So that `telegraf --test` shows data; later newlines do nothing."""
    with Plugin(tmp_path, "good-1", "good-2", interval="3600s") as plugin:
        plugin.newline(3)
        plugin.wait_for("good-1")
        plugin.wait_for("good-2")
        plugin.newline()
        code, _ = plugin.end()
        assert (code, len(plugin.bmc("good-1")), len(plugin.bmc("good-2"))) == (0, 1, 1)


def test_a_newline_and_the_end_before_the_plugin_is_up_still_give_data(tmp_path):
    """As `telegraf --once` does it: all is in the pipe when the plugin begins to read."""
    (tmp_path / "fleet.toml").write_text(fleet_text("good-1", "slow-2", "dead-3", interval="3600s"))
    done = subprocess.run(
        [sys.executable, FAKE, "run", "--fleet", tmp_path / "fleet.toml", "--state", tmp_path / "s"],
        input="\n", capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "BMC_PASSWORD": PASSWORD},
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.count("server_power,") == 2
    assert done.stdout.count("server_bmc,") == 3


def test_a_gather_that_hangs_is_cut_and_told_in_time(tmp_path):
    """Ends within 4.5 s of the end of input; the hung BMC has its line, the log-out that hangs is left."""
    with Plugin(tmp_path, "good-1", "hang-2", "slowclose-3", interval="3600s", timeout="60s") as plugin:
        plugin.newline()
        plugin.wait_for("good-1")
        code, took = plugin.end()
        assert code == 0
        assert 2.5 < took < BUSY_MACHINE_S
        assert 'error="timeout"' in plugin.bmc("hang-2")[0]


def test_the_end_without_a_gather_begins_nothing(tmp_path):
    """No line, no wait."""
    with Plugin(tmp_path, "good-1", interval="3600s") as plugin:
        time.sleep(0.3)
        code, _ = plugin.end()
        assert code == 0
        assert not plugin.lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_two_seconds_whatever_hangs(tmp_path, number):
    """Polls under way are cut, log-outs are tried in parallel."""
    servers = ("good-1", "hang-2", "hang-3", "slowclose-4", "slowclose-5", "badclose-6")
    with Plugin(tmp_path, *servers, timeout="60s") as plugin:
        plugin.newline()
        for server in ("good-1", "slowclose-4", "badclose-6"):
            plugin.wait_for(server)
        code, took = plugin.signal(number)
        assert code == 0
        assert took < BUSY_MACHINE_S
        assert "Traceback" not in plugin.log


def test_a_signal_after_the_end_of_input_still_ends_it_within_two_seconds(tmp_path):
    """The gather under way is given up."""
    with Plugin(tmp_path, "good-1", "hang-2", interval="3600s", timeout="60s") as plugin:
        plugin.newline()
        plugin.wait_for("good-1")
        plugin.process.stdin.close()
        time.sleep(0.5)
        code, took = plugin.signal(signal.SIGTERM)
        assert code == 0
        assert took < BUSY_MACHINE_S


@pytest.mark.parametrize("source", ["/dev/null", "file"])
def test_standard_input_that_cannot_be_waited_for_has_ended(tmp_path, source):
    """/dev/null ends it at once; a file with a newline asks for one gather."""
    (tmp_path / "fleet.toml").write_text(fleet_text("good-1", interval="3600s"))
    path = tmp_path / "in"
    path.write_text("\n\n")
    with open("/dev/null" if source == "/dev/null" else path) as stdin:  # noqa: PTH123  # as a shell does
        done = subprocess.run(
            [sys.executable, FAKE, "run", "--fleet", tmp_path / "fleet.toml", "--state", tmp_path / "s"],
            stdin=stdin, capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "BMC_PASSWORD": PASSWORD},
        )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.count("server_bmc,") == (0 if source == "/dev/null" else 1)


def test_slow_hanging_and_failing_bmcs_delay_nobody(tmp_path):
    """Ten ticks of the good one come on time while the others do their worst."""
    others = (
        "hang-2",
        "slow-3",
        "dead-4",
        "garbage-5",
        "badtype-6",
        "data-7",
        "zero-8",
        "prints-9",
        "late-10",
    )
    with Plugin(tmp_path, "good-1", *others, timeout="2s") as plugin:
        plugin.wait_for("good-1", 10)
        plugin.wait_for("late-10", 2)
        plugin.wait_for("hang-2", 2)
        assert plugin.end()[0] == 0
    stamps = [int(line.rsplit(" ", 1)[1]) for line in plugin.bmc("good-1")]
    gaps = [(later - earlier) / 1e9 for earlier, later in pairwise(stamps)]
    # The machine may stall now and then; who waited for another BMC would be late each time.
    assert statistics.median(abs(gap - 0.5) for gap in gaps[1:]) < 0.2, gaps
    assert all(PROTOCOL_LINE.fullmatch(line) for _, line in plugin.lines)
    assert re.search(r"late_ticks=[2-9]i", "".join(plugin.bmc("late-10")[1:]))
    for server in ("hang-2", "dead-4", "garbage-5", "badtype-6", "data-7", "zero-8"):
        assert all("up=0i" in line for line in plugin.bmc(server))
        assert plugin.log.count(f"'{server}'") == 1


def test_what_libraries_print_does_not_reach_telegraf(tmp_path):
    """Neither by `print` nor by the descriptor; and each log line has its prefix."""
    with Plugin(tmp_path, "prints-1") as plugin:
        plugin.wait_for("prints-1", 2)
        plugin.end()
    assert all(PROTOCOL_LINE.fullmatch(line) for _, line in plugin.lines)
    assert "a library printed: pyghmi was here" in plugin.log


def test_secrets_are_nowhere(tmp_path):
    """Not on stdout, not in the log at debug level, not in any file of the state directory, not in argv."""
    servers = ("good-1", "shows-2", "refuse-3", "garbage-4")
    with Plugin(tmp_path, *servers, arguments=("--log-level", "debug")) as plugin:
        plugin.newline()
        for server in servers:
            plugin.wait_for(server, 2)
        with open(f"/proc/{plugin.process.pid}/cmdline") as argv:  # noqa: PTH123  # no file of ours
            assert PASSWORD not in argv.read()
        plugin.end()
    files = [path.read_text() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert len(files) >= len(servers)
    for text in (*files, plugin.log, *(line for _, line in plugin.lines)):
        assert PASSWORD not in text


def test_the_state_directory_is_for_the_owner_alone(tmp_path):
    """Sessions stand in it."""
    with Plugin(tmp_path, "good-1") as plugin:
        plugin.wait_for("good-1")
        plugin.end()
    for path in (tmp_path / "state").rglob("*"):
        assert not path.stat().st_mode & 0o077, path


def test_a_second_run_on_the_same_servers_is_refused_naming_the_first(tmp_path):
    """Exit 2, one line; it may begin as soon as the first one has ended, even by SIGKILL."""
    with Plugin(tmp_path, "good-1", "good-2") as first:
        first.wait_for("good-1")
        with Plugin(tmp_path) as second:
            assert second.process.wait(60) == 2
            wait_until(lambda: second.errors)
            assert len(second.errors) == 1
            assert second.log.startswith(
                f"E! server 'good-1' is polled by process {first.process.pid} already"
            )
        first.process.kill()
        first.process.wait(60)
    with Plugin(tmp_path) as third:
        third.wait_for("good-1")
        assert third.end()[0] == 0


def test_shards_share_a_state_directory(tmp_path):
    """Each polls its part."""
    servers = [f"good-{number}" for number in range(1, 9)]
    with (
        Plugin(tmp_path, *servers, arguments=("--shard", "1/2")) as first,
        Plugin(tmp_path, arguments=("--shard", "2/2")) as second,
    ):
        wait_until(lambda: _polled(first) | _polled(second) == set(servers))
        assert _polled(first).isdisjoint(_polled(second))
        assert first.end()[0] == second.end()[0] == 0


def _polled(plugin):
    return {match[1] for _, line in plugin.lines if (match := re.match(r"server_bmc,.*server=(\S+) ", line))}


def test_with_a_protocol_auto_servers_are_skipped_with_one_warning(tmp_path):
    """They belong to the run without."""
    text = fleet_text("good-1") + '[[server]]\nid = "good-2"\nhost = "h"\nprotocol = "auto"\n'
    with Plugin(tmp_path, text=text, arguments=("--protocol", "redfish")) as plugin:
        plugin.wait_for("good-1", 2)
        plugin.end()
    assert not plugin.bmc("good-2")
    assert plugin.log.count("W!") == 1
    assert '1 servers with protocol "auto" are skipped: good-2' in plugin.log


def test_a_changed_file_is_read_again_and_a_bad_one_keeps_the_old(tmp_path):
    """Unchanged servers are not disturbed; the bad file is told once; SIGHUP reads at once."""
    with Plugin(tmp_path, "good-1", "good-2") as plugin:
        plugin.wait_for("good-1")
        plugin.wait_for("good-2")
        plugin.fleet.write_text("[[server]]\nid = 5\n")
        plugin.wait_for_log("E! the fleet is kept as it was: .*number 1: key 'id' is 5")
        plugin.process.send_signal(signal.SIGHUP)
        plugin.wait_for("good-2", len(plugin.bmc("good-2")) + 3)
        plugin.fleet.write_text(fleet_text("good-1", "good-3"))
        plugin.process.send_signal(signal.SIGHUP)
        plugin.wait_for("good-3", 2)
        gone = len(plugin.bmc("good-2"))
        plugin.wait_for("good-3", 4)
        assert len(plugin.bmc("good-2")) == gone
        plugin.wait_for("good-1", 8)
        assert plugin.end()[0] == 0
    assert plugin.log.count("the fleet is kept as it was") == 1
    # One per loop: good-1 was neither logged out of nor begun anew.
    assert "".join(line for _, line in plugin.lines).count("server_info,env=pod1,server=good-1 ") == 1


def test_an_empty_fleet_is_told_and_waited_on(tmp_path):
    """The file may get its servers later."""
    with Plugin(tmp_path, text=fleet_text()) as plugin:
        plugin.wait_for_log("W! .*no enabled server is ours")
        plugin.fleet.write_text(fleet_text("good-1"))
        plugin.wait_for("good-1")
        assert plugin.end()[0] == 0


def test_nobody_who_reads_ends_it(tmp_path):
    """A broken pipe is no reason for a traceback, nor to poll on."""
    (tmp_path / "fleet.toml").write_text(fleet_text("good-1"))
    process = subprocess.Popen(
        [sys.executable, FAKE, "run", "--fleet", tmp_path / "fleet.toml", "--state", tmp_path / "s"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "BMC_PASSWORD": PASSWORD},
    )  # fmt: skip
    with process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
        log = process.stderr.read()
    assert "nobody reads our output" in log
    assert "Traceback" not in log


def _waiting_bytes(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def _is_full(pipe):
    """Tell whether many bytes wait and no more come; how many fit depends on how they were written."""
    before = _waiting_bytes(pipe)
    time.sleep(0.5)
    return before > 25_000 and _waiting_bytes(pipe) == before


def test_a_reader_of_our_lines_that_sleeps_stops_neither_polls_nor_the_end(tmp_path):
    """A full pipe blocks nothing: SIGTERM still ends it in 2 s, and no line is torn."""
    (tmp_path / "fleet.toml").write_text(fleet_text(*[f"good-{n}" for n in range(1, 201)]))
    process = subprocess.Popen(
        [sys.executable, FAKE, "run", "--fleet", tmp_path / "fleet.toml", "--state", tmp_path / "s"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "BMC_PASSWORD": PASSWORD},
    )  # fmt: skip
    with process:
        wait_until(lambda: _is_full(process.stdout))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        took = time.monotonic() - began
        lines = process.stdout.readlines()
    assert took < BUSY_MACHINE_S
    assert len(lines) > 100
    assert all(PROTOCOL_LINE.fullmatch(line) for line in lines)


@pytest.mark.parametrize("value", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_bad_shard_is_a_usage_error(tmp_path, value):
    """Exit 2, naming what is allowed."""
    from click.testing import CliRunner

    from energyrecorder_execd.cli import cli

    result = CliRunner().invoke(cli, ["run", "--shard", value])
    assert result.exit_code == 2
    assert "is not I/N with 1 <= I <= N" in result.output
