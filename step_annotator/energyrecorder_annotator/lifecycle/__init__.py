"""What happens to steps: a pure state machine from events and what is known to what is known next."""

from energyrecorder_annotator.lifecycle.events import Heartbeat, Patch, SetStep, Start, Stop
from energyrecorder_annotator.lifecycle.machine import Decision, apply, expire
from energyrecorder_annotator.lifecycle.model import SeriesKey, Step, StepRefusedError, StepView

__all__ = [
    "Decision",
    "Heartbeat",
    "Patch",
    "SeriesKey",
    "SetStep",
    "Start",
    "Step",
    "StepRefusedError",
    "StepView",
    "Stop",
    "apply",
    "expire",
]
