"""Looks at Grafana for `doctor`: version, clock, and with a token plugin and data source."""

from __future__ import annotations

from collections.abc import Iterator

from energyrecorder.errors import EnergyError
from energyrecorder_annotator.doctor.finding import KEEP_TIME, MOST_OFFSET_S, Finding
from energyrecorder_annotator.grafana_setup import Grafana
from energyrecorder_annotator.sinks.settings import HttpSinkSettings


def look(settings: HttpSinkSettings | None, url: str | None) -> Iterator[Finding]:
    """Yield what there is to say of a Grafana.

    Args:
        settings: Of ``[grafana]``; its token is for its own URL alone.
        url: Base URL of another one to look at; None means that of ``settings``.
    """
    base = url or ("" if settings is None else settings.url)
    token = settings.token if settings is not None and settings.url == base else None
    grafana = Grafana(base, token=token)
    try:
        version = grafana.version()
        offset_s = grafana.clock_offset_s
        text = f"version {version}"
        if offset_s is not None:
            text += f"; its clock is {offset_s:+.0f} s against ours"
            if abs(offset_s) > MOST_OFFSET_S:
                text += f": 'now' of its alert rules is wrong by that; {KEEP_TIME}"
        yield Finding("Grafana", ok=offset_s is None or abs(offset_s) <= MOST_OFFSET_S, text=text)
        if token is None:
            told = "not looked at: that needs a token of this Grafana in [grafana]"
            yield Finding("Grafana, plugin and data source", ok=True, text=told)
        else:
            for what, ok, told in grafana.findings():
                yield Finding(f"Grafana, {what}", ok=ok, text=told)
    except EnergyError as error:
        yield Finding("Grafana", ok=False, text=str(error))
    finally:
        grafana.close()
