"""What `energy-step` shows on a terminal, and keeps out of files."""

import contextlib
import os

import pytest

RUN_ID = "0a1b"
GREEN, RED, CLEAR_LINE = "\x1b[32m", "\x1b[31m", "\r\x1b[K"


@pytest.fixture
def on_terminal(start_energy_step):
    """Return a function that runs `energy-step` on a terminal and returns what that shows."""

    def run(*arguments):
        ours, theirs = os.openpty()
        with os.fdopen(ours, "rb", buffering=0) as screen:
            try:
                process = start_energy_step(*arguments, stdout=theirs, stderr=theirs)
            finally:
                os.close(theirs)
            shown = b""
            with contextlib.suppress(OSError):  # what Linux says once nobody has the other side open
                while piece := screen.read(65_536):
                    shown += piece
            process.wait(60)
        return shown.decode()

    return run


@pytest.fixture
def told(annotator, monkeypatch):
    monkeypatch.setenv("ENERGY_URL", annotator.url)
    monkeypatch.setenv("ENERGY_ENV", "pod1")
    return annotator


def test_colours_are_for_terminals_alone(told, on_terminal, energy_step):
    shown = on_terminal("doctor")
    assert f"{GREEN}ok   " in shown
    assert f"{RED}\x1b[1mWRONG" in shown
    done = energy_step("doctor")
    assert "WRONG  samples" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_line_shows_what_is_awaited_and_is_gone_when_it_comes(told, on_terminal):
    def run(**result):
        step = {"env": "pod1", "scenario": "functest", "step": None, "state": "passed", "result": result}
        return {"run": {"run_id": RUN_ID, **step}, "steps": []}

    answers = [run(), run(quality="unresolvable")]

    class Pages(dict):
        """Has the result at the second look."""

        def get(self, path, default=None):
            return answers.pop(0) if path == f"/v1/runs/{RUN_ID}" else super().get(path, default)

    told.pages = Pages(told.pages)
    awaited, _, table = on_terminal("report", RUN_ID, "--wait", "60").rpartition(CLEAR_LINE)
    assert awaited.startswith(f"{CLEAR_LINE}waiting for results of 1 of 1 step (")
    assert table.startswith(f"functest on pod1, run {RUN_ID}")
    assert answers == []
