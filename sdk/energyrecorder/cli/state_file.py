"""What one job has open, kept in a file so that start and stop may stand in different shell steps."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from energyrecorder.notices import LOG

_FOLDERS = ("RUNNER_TEMP", "CI_PROJECT_DIR", "WORKSPACE", "XDG_RUNTIME_DIR")
_JOB_IDS = (
    ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "RUNNER_NAME"),
    ("CI_JOB_ID", "CI_PIPELINE_ID"),
    ("BUILD_TAG", "EXECUTOR_NUMBER"),
)
FORMAT = 1


@dataclass(frozen=True)
class OpenStep:
    """A step or scenario that was started and not yet stopped.

    Args:
        step_id: Its id.
        run_id: Id of its run.
        env: Environment; None when it was not known.
        scenario: Name of its scenario.
        step: Name of the step; None for a scenario.
        started_ns: When, nanoseconds since the Unix epoch by this machine's clock.
        boot_id: Boot of this machine in which it was started.
        implicit: The step that `energy-step step` opened in it last; None when none is open.
    """

    step_id: str
    run_id: str
    env: Optional[str]
    scenario: str
    step: Optional[str]
    started_ns: int
    boot_id: Optional[str]
    implicit: Optional[OpenStep] = None


@dataclass
class JobState:
    """The steps of one job.

    Args:
        open: From the outermost to the innermost.
        last_run_id: The run that `report` shows when none is named.
    """

    open: List[OpenStep] = field(default_factory=list)
    last_run_id: Optional[str] = None

    def knows(self, step_id: str) -> bool:
        """Tell whether ``step_id`` is one of the open ones."""
        ids = {item.step_id for item in self.open} | {i.implicit.step_id for i in self.open if i.implicit}
        return step_id in ids


def state_path(environ: Mapping[str, str], cwd: str, uid: int) -> Path:
    """Return the state file of the job that runs here.

    Args:
        environ: Variables; CI systems name the job and a folder of its own in them.
        cwd: Current directory: names the job outside of CI.
        uid: User id: as above.
    """
    explicit = environ.get("ENERGY_STATE_FILE")
    if explicit:
        return Path(explicit)
    job = next(
        (tuple(environ.get(name, "") for name in names) for names in _JOB_IDS if environ.get(names[0])),
        (cwd, str(uid)),
    )
    digest = hashlib.sha256("\0".join(job).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = next((environ[name] for name in _FOLDERS if environ.get(name)), None)
    if folder is None:
        base = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111  # never fails
        folder = str(Path(base) / "energyrecorder" / "jobs")
    return Path(folder) / f".energy-step-{digest}.json"


def load_state(path: Path) -> JobState:
    """Return what the file holds; nothing when there is none or it is damaged."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        known = raw["open"] if raw["format"] == FORMAT else []
        return JobState(open=[_open_step(item) for item in known], last_run_id=raw["last_run_id"])
    except FileNotFoundError:
        return JobState()
    except (OSError, ValueError, KeyError, TypeError) as error:
        LOG.warning("state file %s is not usable (%r); starting afresh", path, error)
        return JobState()


@contextlib.contextmanager
def edited_state(path: Path, warn: Callable[[str], None]) -> Iterator[JobState]:
    """Hold the job's state alone, and write it back when the body ends well.

    Args:
        path: The state file.
        warn: Told when the file cannot be locked or written; the body runs all the same.
    """
    problem: Optional[OSError] = None
    state, lock = JobState(), None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # a network file system without locks: jobs seldom need one
            fcntl.flock(lock, fcntl.LOCK_EX)
        state = load_state(path)
    except OSError as error:
        problem = error
    try:
        yield state
        if problem is None:
            problem = _save(path, state)
    finally:
        if lock is not None:
            os.close(lock)
    if problem is not None:
        why = f"state file {str(path)!r} cannot be written: {problem.strerror}"
        warn(f"{why}; later commands know nothing of this")


def _save(path: Path, state: JobState) -> Optional[OSError]:
    """Replace the file; return what hindered it."""
    raw = {"format": FORMAT, "open": [asdict(item) for item in state.open], "last_run_id": state.last_run_id}
    temporary = Path(f"{path}.tmp")
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(file, "w", encoding="utf-8") as stream:  # noqa: PTH123  # a descriptor with its mode
            json.dump(raw, stream)
        temporary.replace(path)
    except OSError as error:
        return error
    return None


def _open_step(raw: Mapping[str, object]) -> OpenStep:
    inner = raw.get("implicit")
    values: Dict[str, Any] = {**raw, "implicit": _open_step(inner) if isinstance(inner, dict) else None}
    return OpenStep(**values)
