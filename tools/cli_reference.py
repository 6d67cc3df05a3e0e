"""Writes docs/cli.md from the help texts of `energy-step`, so that page and command never differ.

`python tools/cli_reference.py` writes it, `--check` only tells (exit 1) whether it is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from energyrecorder.cli.app import VERBS, energy_step

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
_WIDTH = 100
_INTRODUCTION = """\
# `energy-step`

Generated from `energy-step --help` by `python tools/cli_reference.py`; edit the help texts instead.

A scenario with two steps, from a shell or a CI job:

```sh
export ENERGY_URL=http://energy.example:8742 ENERGY_ENV=pod1
energy-step start functest
energy-step step boot
sleep 0.1
energy-step step traffic
energy-step mark "vm destroyed"
energy-step run --step ping -- true
energy-step stop
energy-step report --wait 60
```

**Exit codes.** `start`, `step`, `stop`, `mark` and `flush` end with 0 even when the service is not reached:
there is a warning on stderr, and the events are sent later. With `--strict` they end with 3, and with 2 for
a setting that is not allowed. `run` ends with the command's own code (126 cannot be executed, 127 not found,
128 + n ended by signal n). `report`, `compare`, `plan`, `gate`, `import` and `doctor` end with 3 when the
service fails. `gate` ends with 4 after a regression or above the budget and, where `--fail-on` names it, with
5 when the result is inconclusive and 6 when nothing is comparable. Wrong usage is 2 everywhere.

**Variables.** `ENERGY_URL`, `ENERGY_ENV` and the rest are those of the [SDK](sdk.md). `start` writes
`ENERGY_RUN_ID`, `ENERGY_STEP_ID` and `ENERGY_SCENARIO` to `$GITHUB_ENV`, `run_id` and `step_id` to
`$GITHUB_OUTPUT`; `run` gives them to its command, and passes `TRACEPARENT` on. `report`, `compare`
and `gate` add to `$GITHUB_STEP_SUMMARY`. Steps that are open are remembered per job in
`$ENERGY_STATE_FILE`, else in the CI system's folder of the job, else in
`~/.local/state/energyrecorder/jobs`.

**What is stored about a CI job** (GitHub, GitLab, Jenkins), under OpenTelemetry's names: pipeline, run,
task, worker, branch and revision (`cicd.*`, `vcs.*`), its URL, and the trace id of `TRACEPARENT`;
the run or build is the `group`. Who started it is never stored. Jenkins' own `NODE_NAME` is the agent's
name: set `ENERGY_ENV` there.

**When not to use this.** On hosted runners the servers' power cannot be read. A command of a few
seconds is shorter than what most BMCs resolve: `run --min-duration 2m` repeats it within one step.
"""


def reference() -> str:
    """Return the page."""
    shown: dict[str, Any] = {
        "terminal_width": _WIDTH,
        "max_content_width": _WIDTH,
        "help_option_names": ["-h", "--help"],
    }
    root = click.Context(energy_step, info_name="energy-step", **shown)
    parts = [_INTRODUCTION, _section("energy-step", energy_step.get_help(root))]
    for verb in VERBS:
        command = energy_step.get_command(root, verb)
        if command is None:
            raise LookupError(verb)
        context = click.Context(command, info_name=verb, parent=root, **shown)
        parts.append(_section(f"energy-step {verb}", command.get_help(context)))
    return "\n".join(parts)


def _section(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"## `{title}`\n\n```text\n{lines}\n```\n"


def main() -> int:
    """Write the page or, with ``--check``, compare it."""
    text = reference()
    if "--check" in sys.argv[1:]:
        fresh = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        if not fresh:
            print(f"{PAGE} is stale; run: python tools/cli_reference.py")
        return 0 if fresh else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
