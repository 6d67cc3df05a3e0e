"""The words by which sinks show a step to people: title, safe HTML, links."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from typing import Any

from energyrecorder.figures import energy_wh
from energyrecorder_annotator.journal.base import StoredResult
from energyrecorder_annotator.lifecycle import Step

OTHER = "other"
"""Stands for step names beyond `energyrecorder_annotator.journal.outbox.NAMES_PER_DAY`."""
MOST_NAME = 80
_MOST_TEXT = 2000


def title_of(step: Step) -> str:
    """Return the short text of a step."""
    return (step.title or step.step or step.scenario)[:_MOST_TEXT]


def tag_name(name: str) -> str:
    """Return a name as a tag: of bounded length, still telling long names apart."""
    if len(name) <= MOST_NAME:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{name[: MOST_NAME - 9]}~{digest}"


def safe_link(url: str | None) -> str | None:
    """Return a link that a browser may follow: http(s) only; None otherwise."""
    if url is None or not url.lower().startswith(("http://", "https://")):
        return None
    return None if any(one.isspace() or not one.isprintable() for one in url) else url


def energy_text(detail: Mapping[str, Any] | None) -> str:
    """Return energy and interval in plain words; an unresolvable one never shows a bare number."""
    if detail is None:
        return "energy pending"
    energy_j, u95_j = detail.get("energy_j"), detail.get("u95_j")
    if energy_j is None or u95_j is None:
        return f"energy unknown ({detail.get('reason') or 'no readings'})"
    return f"energy {energy_wh(energy_j, u95_j, detail['quality'])}"


def html_text(step: Step, result: StoredResult | None) -> str:
    """Return the body of an annotation: HTML in which everything foreign is escaped."""
    words = [step.state, energy_text(None if result is None else result.detail)]
    if step.step is not None:
        words.insert(0, step.scenario)
    if step.end_ns is not None:
        words.append(f"{(step.end_ns - step.start_ns) / 1e9:.1f} s")
    body = " · ".join(html.escape(word[:_MOST_TEXT]) for word in words)
    link = safe_link(step.url)
    return body if link is None else f'{body} · <a href="{html.escape(link)}" target="_blank">open</a>'


def tag_list(step: Step) -> str:
    """Return the tags of a step as a comma list."""
    return ",".join(f"{key}={value}".replace(",", " ") for key, value in sorted(step.tags.items()))[
        :_MOST_TEXT
    ]
