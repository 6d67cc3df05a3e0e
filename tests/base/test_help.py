"""Help of every command: each option is explained, and no summary is cut off in the list of commands."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from energyrecorder.cli.app import energy_step
from energyrecorder_annotator.cli.app import cli as annotator
from energyrecorder_bmcsim.cli import cli as bmcsim
from energyrecorder_execd.cli import cli as execd

PROGRAMS = {
    "energy-step": energy_step,
    "energy-execd": execd,
    "energy-annotator": annotator,
    "energy-bmcsim": bmcsim,
}
EXPLAINED_BY_THEIR_CHOICES = {"format", "outcome", "protocol", "log-format"}


def commands(name, command):
    """Yield the command and all below it, each with its full name."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for verb in command.list_commands(context):
            yield from commands(f"{name} {verb}", command.get_command(context, verb))


ALL = dict(pair for program in PROGRAMS.items() for pair in commands(*program))
WITH_LOG = [
    name
    for name, command in ALL.items()
    if name.startswith(("energy-execd ", "energy-annotator ")) and not isinstance(command, click.Group)
]


@pytest.mark.parametrize("name", ALL)
def test_every_option_is_explained(name):
    """By a help text, or by a list of values that says it all."""
    for option in ALL[name].params:
        if isinstance(option, click.Option):
            plain = max(option.opts, key=len).removeprefix("--")
            assert option.help or plain in EXPLAINED_BY_THEIR_CHOICES, option.opts


@pytest.mark.parametrize("name", WITH_LOG)
def test_services_and_their_commands_have_the_options_of_the_log(name):
    """Step commands have none, as the SDK tells each kind of trouble once; the simulator logs nothing."""
    options = {option for param in ALL[name].params for option in param.opts}
    assert options >= {"--log-level", "--log-format", "--log-file"}


@pytest.mark.parametrize("name", [name for name, command in ALL.items() if isinstance(command, click.Group)])
def test_no_summary_is_cut_off(name):
    """In a terminal of 80 columns."""
    shown = CliRunner().invoke(ALL[name], ["--help"], terminal_width=80)
    assert shown.exit_code == 0
    assert "..." not in shown.output.partition("Commands:")[2]
