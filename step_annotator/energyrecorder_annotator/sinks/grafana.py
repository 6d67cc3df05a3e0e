"""Native Grafana annotations: regions that show up in dashboards nobody has prepared for us.

Five calls of our own, because the libraries of Grafana wipe the tags of an annotation whenever they change
its end (docs/adr/0003): what is sent here is what changes. Grafana has no key by which a repeated POST would
be known as such, so an annotation is looked for by its tag ``energy-id=<id>`` before it is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from energyrecorder.clock import Clock
from energyrecorder_annotator.journal.base import Mark
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.sinks.base import Answer, Item, SinkAwayError
from energyrecorder_annotator.sinks.peer import Peer, refusal
from energyrecorder_annotator.sinks.settings import HttpSinkSettings
from energyrecorder_annotator.sinks.wording import html_text, title_of

PATH = "/api/annotations"
PROVISIONAL_MS = 1000
"""A running step ends this long after its start until it is touched: an annotation without end is a point."""
MOST_TAGS = 500
"""Characters that Grafana lets all tags of one annotation have together, unless it is told otherwise."""
_MOST_TAG = 80
_NOT_FOUND = 404


class GrafanaSink:
    """`energyrecorder_annotator.sinks.base.Sink` into Grafana.

    Args:
        settings: Where Grafana is, and which steps it is told of.
        clock: Our wall clock.
    """

    name = "grafana"
    batch = 1  # so that what is made is remembered before the next is made
    with_history = False
    touch_every_s: float | None = 60.0

    def __init__(self, settings: HttpSinkSettings, *, clock: Clock) -> None:
        self._peer = Peer("Grafana", settings)
        self._only_scenarios = settings.mode == "scenario"
        self._clock = clock

    def deliver(self, items: Sequence[Item]) -> list[Answer]:
        """See `Sink`."""
        return [self._deliver(item) for item in items]

    def deliver_marks(self, marks: Sequence[Mark]) -> list[Answer]:
        """See `Sink`: points beside the regions of all steps; who wants scenarios alone gets none."""
        return [Answer() if self._only_scenarios else self._deliver_mark(mark) for mark in marks]

    def touch(self, items: Sequence[Item], now_ns: int) -> None:
        """See `Sink`."""
        for item in items:
            told = _memo(item)
            if told is not None:
                # The memo keeps the end it was made with: the next delivery sends the true one anyway.
                end_ms = max(told["time"] + PROVISIONAL_MS, now_ns // 1_000_000)
                self._peer.ask("PATCH", f"{PATH}/{told['id']}", {"timeEnd": end_ms})

    def has(self, item: Item | None) -> bool:
        """See `Sink`: one that somebody deleted is made again when its step changes, the others stay."""
        del item
        return True

    def close(self) -> None:
        """See `Sink`."""
        self._peer.close()

    def _deliver(self, item: Item) -> Answer:
        step = item.step
        if not step.started or (self._only_scenarios and step.step is not None):
            return Answer()
        wanted = annotation(item, self._clock())
        known = _memo(item)
        if known is None:
            known = self._find(step.step_id)
        if known is not None:
            changed = {key: value for key, value in wanted.items() if known.get(key) != value}
            answer = self._peer.ask("PATCH", f"{PATH}/{known['id']}", changed) if changed else None
            if answer is None or answer.ok:
                return _taken(known["id"], wanted)
            if answer.status_code != _NOT_FOUND:
                return Answer(refused=refusal("Grafana", answer))
        answer = self._peer.ask("POST", PATH, wanted)
        if not answer.ok:
            return Answer(refused=refusal("Grafana", answer))
        return _taken(_id_of(answer.text), wanted)

    def _deliver_mark(self, mark: Mark) -> Answer:
        # A mark never changes: one that is there already is the answer to a POST whose end we did not see.
        if self._find(mark.mark_id) is not None:
            return Answer()
        answer = self._peer.ask("POST", PATH, mark_annotation(mark))
        return Answer() if answer.ok else Answer(refused=refusal("Grafana", answer))

    def _find(self, item_id: str) -> Mapping[str, Any] | None:
        params = {"tags": _id_tag(item_id), "type": "annotation", "limit": 1}
        answer = self._peer.ask("GET", PATH, params=params)
        if not answer.ok:
            raise SinkAwayError(refusal("Grafana", answer))
        try:
            found = answer.json()
            return dict(found[0]) if found else None
        except (ValueError, TypeError, KeyError, IndexError):
            raise SinkAwayError(f"Grafana's list of annotations is not one: {answer.text[:100]!r}") from None


def annotation(item: Item, now_ns: int) -> dict[str, Any]:
    """Return what Grafana is to show of a step: text, tags, and both ends in ms."""
    step = item.step
    start_ms = step.start_ns // 1_000_000
    end_ns = now_ns if step.end_ns is None else step.end_ns
    least_ms = start_ms + PROVISIONAL_MS if step.end_ns is None else start_ms + 1
    return {
        "time": start_ms,
        "timeEnd": max(least_ms, end_ns // 1_000_000),
        "tags": annotation_tags(step),
        "text": f"<b>{_escaped(title_of(step))}</b><br>{html_text(step, item.result)}",
    }


def mark_annotation(mark: Mark) -> dict[str, Any]:
    """Return what Grafana is to show of a mark: a point, so without an end."""
    named = {"env": mark.env, "scenario": mark.scenario, "server": mark.server, "kind": mark.kind}
    title = f"<b>{_escaped(mark.title)}</b>"
    return {
        "time": mark.t_ns // 1_000_000,
        "tags": _tags(mark.mark_id, named, {}),
        "text": title if mark.text is None else f"{title}<br>{_escaped(mark.text)}",
    }


def annotation_tags(step: Step) -> list[str]:
    """Return the tags of a step."""
    named = {"env": step.env, "scenario": step.scenario, "step": step.step, "state": step.state}
    return _tags(step.step_id, named, step.tags)


def _tags(item_id: str, named: Mapping[str, str | None], free: Mapping[str, str]) -> list[str]:
    """Return tags, the one it is found by first, within Grafana's budget.

    Grafana splits a tag at colons and keeps two parts, so values have none.
    """
    tags = ["energy", _id_tag(item_id)]
    tags += [_tag(f"{key}:", value) for key, value in named.items() if value is not None]
    tags += [_tag("", f"{key}={value}") for key, value in sorted(free.items())]
    kept: list[str] = []
    for tag in tags:
        if sum(len(one) + 1 for one in kept) + len(tag) <= MOST_TAGS and tag not in kept:
            kept.append(tag)
    return kept


def _tag(prefix: str, value: str) -> str:
    printable = "".join(one if one.isprintable() and one not in ":," else " " for one in value)
    return f"{prefix}{printable[:_MOST_TAG].strip()}"


def _id_tag(item_id: str) -> str:
    return f"energy-id={item_id}"


def _memo(item: Item) -> Mapping[str, Any] | None:
    if not item.memo:
        return None
    known: dict[str, Any] = json.loads(item.memo)
    return known


def _taken(annotation_id: int, wanted: Mapping[str, Any]) -> Answer:
    return Answer(memo=json.dumps({"id": annotation_id, **wanted}, ensure_ascii=False))


def _id_of(text: str) -> int:
    try:
        return int(json.loads(text)["id"])
    except (ValueError, KeyError, TypeError):
        # It may have been made: the next try finds it by its tag.
        raise SinkAwayError(f"Grafana names no id in {text[:100]!r}") from None


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
