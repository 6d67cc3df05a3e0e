"""The contract of a sink, and what one is handed.

- A sink is used by one thread alone and may block on the network, for bounded time.
- `Sink.deliver` answers for each item, in order; what it writes is the item's present state as a whole, so
  that doing it twice, or leaving out versions in between, does no harm.
- It raises `SinkAwayError` when it takes nothing just now; everything is then offered again, later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from energyrecorder.errors import EnergyError
from energyrecorder_annotator.journal.base import Mark, StoredResult
from energyrecorder_annotator.lifecycle import Step


class SinkAwayError(EnergyError):
    """A sink does not take anything just now.

    Args:
        message: One line.
        retry_after_s: Pause that it asked for; None if it did not.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SinkEmptyError(EnergyError):
    """A sink has lost what it was told: everything is to be told again."""


@dataclass(frozen=True, slots=True)
class Item:
    """One step to be delivered.

    Args:
        step: As it is now.
        result: Its result; None if there is none yet.
        memo: What the sink wanted to remember of it the last time; None if it never took it.
    """

    step: Step
    result: StoredResult | None
    memo: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one item.

    Args:
        memo: To be given back the next time.
        refused: Why the sink will never take it as it is; None when it took it.
    """

    memo: str = ""
    refused: str | None = None


class Sink(Protocol):
    """See the contract at the top of this file.

    Args:
        name: Names it in the journal: never to be changed.
        batch: Steps or marks at once, at most.
        with_history: Whether a new sink is told of everything the journal holds, or of changes from now on.
        touch_every_s: How often running steps are shown to be so; None never.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  # see the class

    @property
    def batch(self) -> int: ...  # noqa: D102  # see the class

    @property
    def with_history(self) -> bool: ...  # noqa: D102  # see the class

    @property
    def touch_every_s(self) -> float | None: ...  # noqa: D102  # see the class

    def deliver(self, items: Sequence[Item]) -> list[Answer]:
        """Show steps as they are now."""

    def deliver_marks(self, marks: Sequence[Mark]) -> list[Answer]:
        """Show marks."""

    def touch(self, items: Sequence[Item], now_ns: int) -> None:
        """Show that steps are still running."""

    def has(self, item: Item | None) -> bool:
        """Tell whether a step it has taken is still there; without one, only that it answers at all."""

    def close(self) -> None:
        """Let go of the connection."""
