"""`energy-step run`: a command as a step; whatever happens to the recording, the command runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

import click

from energyrecorder.cli.job import Job, env_option
from energyrecorder.client import Client
from energyrecorder.recorder import Recorder, Scope
from energyrecorder.settings import parse_duration

NOT_FOUND, NOT_EXECUTABLE, BY_SIGNAL = 127, 126, 128
FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_FROM_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.2
    """``90s``, ``5m`` or a number of seconds."""

    name = "duration"

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> float:
        """Return the seconds."""
        try:
            return float(value) if not isinstance(value, str) or value.isdigit() else parse_duration(value)
        except ValueError as error:
            self.fail(f"{value!r} is not {error}", param, ctx)


class Runner:
    """Runs one command, several times if asked, and passes on the signals that reach us.

    Args:
        command: Program and arguments.
        environ: Its environment.
    """

    def __init__(self, command: Sequence[str], environ: Dict[str, str]) -> None:
        self._command = list(command)
        self.environ = environ
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._pending: List[int] = []
        self.ended_by: Optional[int] = None

    def listen(self) -> None:
        """Take signals; what our caller has us ignore stays ignored, here and in the command."""
        for number in FORWARDED:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def once(self) -> int:
        """Run the command and return its exit code as a shell would."""
        if self.ended_by is not None:
            return BY_SIGNAL + self.ended_by
        try:
            # Descriptors stay open, as with `env`: make hands its job server on by them.
            self._child = subprocess.Popen(self._command, env=self.environ, close_fds=False)  # noqa: S603  # running the user's command is what `run` is for
        except OSError as error:
            click.echo(f"energy-step: {self._command[0]}: {error.strerror}", err=True)
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        except ValueError as error:
            click.echo(f"energy-step: {self._command[0]!r}: {error}", err=True)
            return NOT_FOUND
        while self._pending:  # they came while the command was being started
            self._child.send_signal(self._pending.pop(0))
        code = self._child.wait()
        self._child = None
        return code if code >= 0 else BY_SIGNAL - code

    def pause(self, pause_s: float) -> None:
        """Wait, but not beyond a signal that ends us."""
        until_s = time.monotonic() + pause_s
        while self.ended_by is None and (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(0.05, left_s))

    def _on_signal(self, number: int, _frame: object) -> None:
        if number in _ENDING:
            self.ended_by = number
        if self._child is None:
            self._pending.append(number)
        # The keyboard's signals reach the whole foreground group: the command has its own already.
        elif not (number in _FROM_KEYBOARD and _in_foreground()):
            self._child.send_signal(number)


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


class Bracket:
    """The scopes around the command: a scenario, a step, or both, within what is open already.

    Args:
        job: This call.
        scenario: Name of the flag.
        step: Name of the flag.
        program: Names the step when no flag does.
    """

    def __init__(self, job: Job, *, scenario: Optional[str], step: Optional[str], program: str) -> None:
        self._client = Client(job.settings, now=job.now, notices=job.notices)
        self._recorder = Recorder(self._client.submit, job.now, lambda: job.around(job.state()))
        names = [(scenario, False)] if scenario else []
        if step or not scenario:
            names.append((step or os.path.basename(program) or program, True))  # noqa: PTH119  # as a text
        self._names = names
        self._servers = job.settings.servers
        self.scopes: List[Scope] = []

    @property
    def environ(self) -> Dict[str, str]:
        """What makes the command's own recordings a part of the innermost scope."""
        return self.scopes[-1].environ if self.scopes else {}

    def open(self) -> None:
        """Begin."""
        for name, is_step in self._names:
            scope = self._recorder.open(name, is_step=is_step, servers=self._servers)
            if scope is not None:
                self._recorder.enter(scope)
                self.scopes.append(scope)

    def close(self, code: int, *, ended_by: Optional[int], repetitions: int) -> None:
        """End, and deliver within two seconds.

        Args:
            code: Exit code of the command.
            ended_by: Signal that ended us; None if none did.
            repetitions: How often it ran within.
        """
        outcome = "aborted" if ended_by is not None else "passed" if code == 0 else "failed"
        for scope in reversed(self.scopes):
            if repetitions > 1 and scope is self.scopes[-1]:
                self._recorder.patch(scope, work=repetitions)
            self._recorder.close(scope, outcome, exit_code=code)
        self._client.flush()


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--scenario", metavar="S", help="Run it in a scenario of its own.")
@click.option("--step", metavar="S", help="Name of the step; default: the program's name.")
@env_option
@click.option("--repeat", type=click.IntRange(1), default=1, help="Run it N times within the step.")
@click.option("--min-duration", type=Duration(), default=0.0, help="Repeat it until this time has passed.")
@click.option("--warmup", type=click.IntRange(0), default=0, help="Run it K times beforehand, unmeasured.")
@click.option(
    "--rest", type=Duration(), default=0.0, help="Rest before and after, so that the power settles."
)
@click.option("--report", is_flag=True, help="Show the energy of the run afterwards, on stderr.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    scenario: Optional[str],
    step: Optional[str],
    env: Optional[str],
    repeat: int,
    min_duration: float,
    warmup: int,
    rest: float,
    command: Tuple[str, ...],
    *,
    report: bool,
) -> int:
    """Run COMMAND as a step and exit with its code.

    The first failure ends a repetition. Without an open scenario the step is a run of its own.

    \b
    Examples:
      energy-step run -- make test
      energy-step run --step iperf --min-duration 2m --warmup 1 --rest 20s -- iperf3 -c peer
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    job = Job(env, forgiving=True)
    bracket = Bracket(job, scenario=scenario, step=step, program=command[0])
    runner = Runner(command, dict(os.environ))
    runner.listen()
    code = _repeat(runner, warmup, 0.0)[0] if warmup else 0
    if code:
        job.warn("the warm-up failed; nothing was measured")
        return code
    runner.pause(rest)
    bracket.open()
    runner.environ.update(bracket.environ)
    code, repetitions = _repeat(runner, repeat, min_duration)
    bracket.close(code, ended_by=runner.ended_by, repetitions=repetitions)
    runner.pause(rest)
    if report and bracket.scopes:
        _report(job, bracket.scopes[0].run_id)
    return code


def _repeat(runner: Runner, at_least: int, min_duration_s: float) -> Tuple[int, int]:
    """Run until count and duration are reached or it fails; return the last code and how often it ran."""
    until_s = time.monotonic() + min_duration_s
    code = times = 0
    while times < at_least or (min_duration_s and time.monotonic() < until_s):
        code = runner.once()
        times += 1
        if code or runner.ended_by is not None:
            break
    return code, times


def _report(job: Job, run_id: str) -> None:
    from energyrecorder.cli.report import print_report
    from energyrecorder.errors import AnnotatorError

    try:
        sys.stdout.flush()
        print_report(job, run_id, wait_s=60.0, err=True)
    except AnnotatorError as error:
        job.warn(str(error))
