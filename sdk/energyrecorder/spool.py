"""Events that could not be delivered, kept in a file that several processes append to and replay in order.

The folder holds ``events.jsonl`` (one event a line, appended; `energyrecorder.spool_line`),
``replaying.jsonl`` with its offset in ``replaying.offset`` (what one process at a time sends),
``no-env.jsonl`` (of jobs that did not know their environment: sent when a person names one), ``old.jsonl``
(older than a week: sent on request only) and ``corrupt.jsonl`` (not events, for a person to look at).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Callable, Iterator, List, Optional, Sequence, Tuple, TypeVar

from energyrecorder.notices import Notices
from energyrecorder.spool_line import Event, decode, encode

T = TypeVar("T")
Deliver = Callable[[List[Event]], List[Event]]
"""Sends events and returns those that must be tried again; raises when nothing could be sent."""

MAX_BYTES = 64 * 2**20
MAX_ASIDE_BYTES = 2**20
BATCH = 200
OLD_AFTER_NS = 7 * 86_400 * 10**9
_LOCK_TRIES, _LOCK_PAUSE_S = 200, 0.005
# Bound now, and not time.sleep, which a test of the user's may have patched.
_select = select.select


@dataclass(frozen=True)
class Replay:
    """What a replay did.

    Args:
        sent: Events delivered.
        left: Whether events are still waiting.
        busy: Another process is replaying; nothing was done.
    """

    sent: int = 0
    left: bool = False
    busy: bool = False


@dataclass(frozen=True)
class Kept:
    """What lies in a spool.

    Args:
        size_bytes: Length of all of it.
        oldest_at: The oldest event's instant, as it carries it; None if it carries none.
    """

    size_bytes: int
    oldest_at: object


class Spool:
    """The spool of one annotator in one folder.

    Args:
        folder: Made, for the owner alone, when the first event is kept.
        notices: Told once when it is full, cannot be written or holds a corrupt line.
        max_bytes: Bound of the folder; what comes when it is full is dropped and counted.
    """

    def __init__(self, folder: Path, notices: Notices, *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self.dropped = 0
        self._notices = notices
        self._max_bytes = max_bytes
        self._events = folder / "events.jsonl"
        self._replaying = folder / "replaying.jsonl"
        self._offset = folder / "replaying.offset"
        self._old = folder / "old.jsonl"
        self._no_env = folder / "no-env.jsonl"
        self._in_hand = 0

    def append(self, events: Sequence[Event]) -> None:
        """Keep events; what does not fit or cannot be written is dropped, counted and told once."""
        self._append([event for event in events if event.get("env")], self._events)
        self._append([event for event in events if not event.get("env")], self._no_env)

    def _append(self, events: List[Event], path: Path) -> None:
        if not events:
            return
        lines = [encode(event) for event in events]
        try:
            with self._appending():
                kept = self._append_locked(lines, path)
        except OSError as error:
            self._drop(len(lines), f"the spool {str(self.folder)!r} cannot be written ({error.strerror})")
        else:
            if kept < len(lines):
                self._drop(len(lines) - kept, f"the spool {str(self.folder)!r} is full")

    @contextlib.contextmanager
    def _appending(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self.folder / "append.lock", wait=True):
            yield

    def obstacle(self) -> Optional[str]:
        """Return why no event can be kept, found out by as much as keeping one; None if one can be."""
        try:
            with self._appending():
                return None
        except OSError as error:
            return f"{str(self.folder)!r} cannot be written: {error.strerror}"

    def pending(self) -> bool:
        """Tell whether events wait to be replayed."""
        return self._events.exists() or self._replaying.exists()

    def count(self) -> int:
        """Return how many events wait, old ones included."""
        return sum(self._of_each_file(lambda file: sum(1 for _ in file)))

    def kept(self) -> Optional[Kept]:
        """Return what waits, without what this process is sending just now; None when nothing does."""
        files = [(size, event) for size, event in self._of_each_file(_rest) if size]
        if not files:
            return None
        oldest = min((event for _, event in files), key=_wall_ns)
        return Kept(sum(size for size, _ in files), oldest.get("at"))

    def _of_each_file(self, read: Callable[[BinaryIO], T]) -> List[T]:
        """Return what ``read`` makes of each file in which events wait, from the first of them on."""
        found = []
        for path in (self._events, self._replaying, self._no_env, self._old):
            with contextlib.suppress(OSError), path.open("rb") as file:
                if path == self._replaying:
                    file.seek(max(self._read_offset(), self._in_hand))
                found.append(read(file))
        return found

    def replay(
        self,
        deliver: Deliver,
        *,
        now_ns: int,
        include_old: bool = False,
        adopt_env: Optional[str] = None,
        max_batches: Optional[int] = None,
    ) -> Replay:
        """Send what waits, in the order in which it was kept.

        Args:
            deliver: Sends one batch; its exception ends the replay and what it did not send stays.
            now_ns: Nanoseconds since the Unix epoch; events a week older are put aside.
            include_old: Send those too.
            adopt_env: Environment that a person gives to events that have none; None leaves them.
            max_batches: Leave the rest for the next time; None sends everything.
        """
        extra = [self._old] if include_old else []
        if adopt_env is not None:
            extra.append(self._no_env)
            deliver = _adopting(deliver, adopt_env)
        sources = [path for path in (*extra, self._events) if path.exists()]
        if not sources and not self._replaying.exists():
            return Replay()
        with _locked(self.folder / "replay.lock", wait=False) as mine:
            if not mine:
                return Replay(left=True, busy=True)
            oldest_ns = None if include_old else now_ns - OLD_AFTER_NS
            budget = _Budget(max_batches)
            sent = self._drain(deliver, oldest_ns, budget)
            for source in sources:
                if not budget.spent and self._rotate(source):
                    sent += self._drain(deliver, oldest_ns, budget)
        return Replay(sent=sent, left=self.pending())

    def _append_locked(self, lines: List[bytes], path: Path) -> int:
        others = {self._events, self._no_env, self._replaying, self._old} - {path}
        used = sum(_size(other) for other in others)
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(file).st_size
            kept, room = 0, self._max_bytes - used - size
            for line in lines:
                room -= len(line)
                if room < 0:
                    break
                kept += 1
            data = b"".join(lines[:kept])
            if data and size and os.pread(file, 1, size - 1) != b"\n":
                data = b"\n" + data  # a writer died in the middle of its line
            if data and os.write(file, data) != len(data):
                os.ftruncate(file, size)
                return 0
            return kept
        finally:
            os.close(file)

    def _rotate(self, source: Path) -> bool:
        """Make ``source`` the file that is replayed; appenders go on with a new one."""
        with _locked(self.folder / "append.lock", wait=True):
            if not source.exists():
                return False
            with contextlib.suppress(FileNotFoundError):
                self._offset.unlink()
            source.rename(self._replaying)
        return True

    def _drain(self, deliver: Deliver, oldest_ns: Optional[int], budget: _Budget) -> int:
        sent = 0
        try:
            file = self._replaying.open("rb")
        except FileNotFoundError:
            return 0
        with file:
            file.seek(self._read_offset())
            while not budget.spent:
                lines = [line for line in (file.readline() for _ in range(BATCH)) if line]
                if not lines:
                    self._replaying.unlink()
                    break
                self._in_hand = file.tell()
                try:
                    sent += self._send(lines, deliver, oldest_ns)
                finally:
                    self._in_hand = 0
                budget.use()
                self._write_offset(file.tell())
        return sent

    def _send(self, lines: List[bytes], deliver: Deliver, oldest_ns: Optional[int]) -> int:
        events, old, corrupt = [], [], []
        for line in lines:
            event = decode(line)
            if event is None:
                corrupt.append(line)
            elif oldest_ns is not None and _wall_ns(event) < oldest_ns:
                old.append(line)
            else:
                events.append(event)
        again = deliver(events) if events else []
        # Only now: a batch that could not be sent is read again, and nothing may be put aside twice.
        self._put_aside(self._old, old, self._max_bytes)
        self._put_aside(self.folder / "corrupt.jsonl", corrupt, MAX_ASIDE_BYTES)
        if corrupt:
            self._notices.tell(
                "corrupt",
                f"{len(corrupt)} unreadable lines of the spool are kept aside in "
                f"{str(self.folder / 'corrupt.jsonl')!r}",
            )
        if old:
            self._notices.tell("old", "steps older than a week wait in the spool; `energy-step flush --all`")
        if again:
            self.append(again)
        return len(events) - len(again)

    def _put_aside(self, path: Path, lines: List[bytes], max_bytes: int) -> None:
        if not lines:
            return
        with path.open("ab") as file:
            if file.tell() < max_bytes:
                file.write(b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines))

    def _read_offset(self) -> int:
        try:
            return int(self._offset.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def _write_offset(self, offset: int) -> None:
        temporary = self._offset.with_suffix(".tmp")
        temporary.write_text(str(offset), encoding="ascii")
        temporary.replace(self._offset)

    def _drop(self, count: int, why: str) -> None:
        self.dropped += count
        self._notices.tell("dropped", f"{why}: steps are dropped from here on; nothing else is affected")


class _Budget:
    """How many batches a replay may still send."""

    def __init__(self, batches: Optional[int]) -> None:
        self._left = batches

    @property
    def spent(self) -> bool:
        return self._left == 0

    def use(self) -> None:
        if self._left is not None:
            self._left -= 1


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold an exclusive lock between processes; yield False when ``wait`` is off and another holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    held = False
    try:
        held = _lock(file, tries=_LOCK_TRIES if wait else 1)
        if wait and not held:
            raise OSError(errno.EAGAIN, "locked by another process")
        yield held
    finally:
        if held:
            # A child forked meanwhile shares the lock: closing our descriptor alone would leave it taken.
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _lock(file: int, *, tries: int) -> bool:
    for _ in range(tries):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _select([], [], [], _LOCK_PAUSE_S)
        else:
            return True
    return False


def _wall_ns(event: Event) -> int:
    at = event.get("at")
    wall_ns = at.get("wall_ns") if isinstance(at, dict) else None
    return wall_ns if isinstance(wall_ns, int) else 2**63


def _rest(file: BinaryIO) -> Tuple[int, Event]:
    """Return how many bytes are left of a file, and the event they begin with; empty if it is none."""
    begin = file.tell()
    first = decode(file.readline()) or {}
    return os.fstat(file.fileno()).st_size - begin, first


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _adopting(deliver: Deliver, env: str) -> Deliver:
    def adopted(events: List[Event]) -> List[Event]:
        return deliver([event if event.get("env") else {**event, "env": env} for event in events])

    return adopted
