"""Tells a person about trouble: one line on stderr per kind and process, never twice."""

from __future__ import annotations

import logging
import sys
from typing import Dict, List, Optional, TextIO

LOG = logging.getLogger("energyrecorder")
# Without a handler of the application, logging's last resort would print our warnings into its stderr.
LOG.addHandler(logging.NullHandler())


class Notices:
    """Remembers which kinds of trouble this process has been told about.

    Args:
        stream: Where lines go; None means the process' own stderr, past any capture of ``sys.stderr``, so
            that a test that checks what its code printed does not see us.
    """

    def __init__(self, stream: Optional[TextIO] = None) -> None:
        self._stream = stream
        self._told: Dict[str, object] = {}
        self.lines: List[str] = []
        """What was told so far."""

    def tell(self, kind: str, text: str) -> None:
        """Print ``text`` on one line unless this ``kind`` was told before; log it in any case."""
        mine = object()
        first = self._told.setdefault(kind, mine) is mine
        LOG.log(logging.INFO if first else logging.DEBUG, "%s", text)
        if not first:
            return
        line = " ".join(text.split())
        self.lines.append(line)
        stream = self._stream or sys.__stderr__
        if stream is None:
            return
        try:
            stream.write(f"energyrecorder: {line}\n")
            stream.flush()
        except (OSError, ValueError):
            LOG.debug("stderr is closed; not told: %s", line)
