"""A BMC made of documents, in place of `BmcHttp`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from energyrecorder_execd.http import Answer, HttpStatusError


class FakeHttp:
    """Answers from ``documents`` (path → document, slashes at the end do not count).

    Args:
        documents: May be changed by the test at any time.
        date_s: The ``Date`` header of all answers; None: there is none.
    """

    def __init__(self, documents: Mapping[str, Any], date_s: float | None = None) -> None:
        self.documents = {path.rstrip("/"): body for path, body in documents.items()}
        self.date_s = date_s
        self.asked: list[str] = []

    @property
    def requests(self) -> int:
        return len(self.asked)

    async def get(self, path: str, *, anonymous: bool = False) -> Answer:
        self.asked.append(path)
        key = path.partition("?")[0].rstrip("/")
        if key not in self.documents:
            raise HttpStatusError(f"GET {path}: HTTP 404", status=404)
        now_ns = time.time_ns()
        return Answer(path, self.documents[key], now_ns, now_ns, self.date_s)

    def offer_sessions(self, path: str | None) -> None:
        return

    async def close(self) -> None:
        return
