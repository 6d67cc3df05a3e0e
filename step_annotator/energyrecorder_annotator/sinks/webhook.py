"""The webhook: every changed step and new mark as JSON, posted to one URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from energyrecorder_annotator.journal.base import Mark
from energyrecorder_annotator.sinks.base import Answer, Item
from energyrecorder_annotator.sinks.peer import Peer, refusal
from energyrecorder_annotator.sinks.settings import HttpSinkSettings


class WebhookSink:
    """`energyrecorder_annotator.sinks.base.Sink` to one URL.

    Several changes of a step in quick succession may come as one, with the last version.

    Args:
        settings: The URL.
    """

    name = "webhook"
    batch = 1  # so that no key is used again for what has been taken
    with_history = False
    touch_every_s: float | None = None

    def __init__(self, settings: HttpSinkSettings) -> None:
        self._peer = Peer("webhook", settings)

    def deliver(self, items: Sequence[Item]) -> list[Answer]:
        """See `Sink`."""
        return [
            self._post(f"{item.step.step_id}/{item.step.version}", {"event": "step", **_step_body(item)})
            for item in items
        ]

    def deliver_marks(self, marks: Sequence[Mark]) -> list[Answer]:
        """See `Sink`."""
        return [self._post(f"{mark.mark_id}/1", {"event": "mark", **asdict(mark)}) for mark in marks]

    def touch(self, items: Sequence[Item], now_ns: int) -> None:
        """Do nothing: a receiver counts the time of a running step itself."""

    def has(self, item: Item | None) -> bool:
        """See `Sink`: what a receiver has kept is its own business."""
        del item
        return True

    def close(self) -> None:
        """See `Sink`."""
        self._peer.close()

    def _post(self, key: str, body: Mapping[str, Any]) -> Answer:
        answer = self._peer.ask("POST", "", body, headers={"Idempotency-Key": key})
        return Answer() if answer.ok else Answer(refused=refusal("webhook", answer))


def _step_body(item: Item) -> dict[str, Any]:
    step = item.step
    return {
        **step.brief(),
        "version": step.version,
        "group": step.group,
        "title": step.title,
        "url": step.url,
        "tags": dict(step.tags),
        "result": None if item.result is None else dict(item.result.detail),
    }
