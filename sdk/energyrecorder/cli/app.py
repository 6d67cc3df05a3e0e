"""The group of verbs: each verb's module is loaded when it is used, so that the others cost nothing."""

from __future__ import annotations

import importlib
import keyword
from typing import Any, List, Optional, Sequence

import click

from energyrecorder.errors import EnergyError, refusal_text

VERBS = {
    "start": "steps",
    "step": "steps",
    "stop": "steps",
    "mark": "steps",
    "run": "run",
    "status": "service",
    "report": "report",
    "compare": "compare",
    "plan": "plan",
    "gate": "compare",
    "flush": "service",
    "import": "imports",
    "doctor": "service",
}
"""Verb to module; the command in it is called like the verb, with an underscore after a word of Python's."""

_SUMMARIES = {
    "start": "Start a scenario, and a first step of it.",
    "step": "Start the next step; the one before ends.",
    "stop": "Stop the step and scenario started last.",
    "mark": "Note an instant.",
    "run": "Run a command as a step.",
    "status": "Show what is open.",
    "report": "Show the energy of a run and its steps.",
    "compare": "Compare the energy of runs.",
    "plan": "Say how many runs it takes to see a change.",
    "gate": "Fail when runs take more energy than a baseline or a budget.",
    "flush": "Send the events that wait in the spool.",
    "import": "Import the steps of a JUnit file.",
    "doctor": "Check service, clock and samples.",
}


class _Verbs(click.Group):
    """Loads a verb's module when it is used; lists all verbs without loading any."""

    def list_commands(self, ctx: click.Context) -> List[str]:
        """Return the verbs in the order in which people use them."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        """Return the command of a verb, None for an unknown one."""
        del ctx
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"energyrecorder.cli.{VERBS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs from their summaries."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(verb, _SUMMARIES[verb]) for verb in VERBS])


def _print_version(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        known = version("energyrecorder")
    except PackageNotFoundError:
        known = "of a source tree that is not installed"
    click.echo(f"energy-step {known}")
    ctx.exit()


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
def energy_step() -> None:
    """Tell energyrecorder which step runs, from a shell or a CI job.

    \b
    Examples:
      energy-step run -- make test
      energy-step start functest && energy-step step boot && energy-step stop
      energy-step report --wait 60

    \b
    Completion in bash (likewise zsh_source, fish_source):
      eval "$(_ENERGY_STEP_COMPLETE=bash_source energy-step)"
    """  # noqa: D301  # click's mark for lines that are not to be wrapped


def run_command(arguments: Sequence[str]) -> int:
    """Return the exit code of `energy-step` with these arguments."""
    try:
        code = energy_step.main(list(arguments), prog_name="energy-step", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except EnergyError as error:
        click.echo(f"energy-step: {error}", err=True)
        return error.exit_code
    except OSError as error:
        click.echo(f"energy-step: {refusal_text(error)}", err=True)
        return 1
    return code if isinstance(code, int) else 0
