"""The documents of one walk through a BMC, each asked for once.

They are kept while the walk lasts, so that a walk which the deadline of a poll cuts off (a GB200 lists 47
chassis) goes on in the next poll where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from energyrecorder.errors import BmcDataError, BmcError
from energyrecorder_execd.http import Answer, BmcHttp, HttpStatusError
from energyrecorder_execd.readers.json_values import Json
from energyrecorder_execd.readers.redfish.resources import Collection, parse_collection

MAX_PAGES = 20

TRIES = 2
"""A resource that so often gave no whole answer is left out, if the BMC still answers otherwise: the Power
resource of a Dell's enclosure may hang for good (check_redfish#14), and would hide that of the server."""

_T = TypeVar("_T")


class WalkPausedError(Exception):
    """The walk has used up its requests for this poll; the next poll goes on with it."""


class Walk:
    """The documents of one walk through a BMC, each asked for once.

    Args:
        http: The BMC.
        begun_ns: When it began, nanoseconds since the Unix epoch, UTC.

    Attributes:
        allowance: Requests that it may still send; None: as many as it needs.
        differing: What an earlier walk or a poll learned, see `plan.Plan.differing`.
    """

    def __init__(self, http: BmcHttp, begun_ns: int) -> None:
        self._http = http
        self.begun_ns = begun_ns
        self.allowance: int | None = None
        self.differing: frozenset[tuple[str, str]] = frozenset()
        self.answers: dict[str, Answer | None] = {}
        self.problems: list[BmcError] = []
        self._tries: dict[str, int] = {}

    async def get(self, path: str | None, *, anonymous: bool = False) -> Any:
        """Return the document at ``path``; None if there is none or the BMC fails to give it.

        Raises:
            BmcError: The BMC cannot be reached, or refuses the log-in.
            WalkPausedError: Its requests are used up.
        """
        if path is None:
            return None
        if path not in self.answers:
            if self.allowance is not None:
                if self.allowance <= 0:
                    raise WalkPausedError
                self.allowance -= 1
            await self._ask(path, anonymous=anonymous)
        answer = self.answers[path]
        return None if answer is None else answer.document

    async def _ask(self, path: str, *, anonymous: bool) -> None:
        tries = self._tries.get(path, 0)
        # While nothing answers, this resource is not to blame: then the poll ends here.
        if tries and await self._is_alive() and tries >= TRIES:
            self.answers[path] = None
            self.problems.append(BmcError(f"GET {path}: no whole answer in {tries} tries", reason="timeout"))
            return
        # Counted before: the deadline of the poll may end it.
        self._tries[path] = tries + 1
        try:
            self.answers[path] = await self._http.get(path, anonymous=anonymous)
        except HttpStatusError as error:
            # One resource that fails (500 of one OpenBMC sensor, 503 of a Dell enclosure) spoils no walk.
            self.answers[path] = None
            if error.reason != "unsupported":
                self.problems.append(error)
        except BmcDataError as error:
            self.answers[path] = None
            self.problems.append(error)

    def leave_out(self, failures: Mapping[str, BmcError]) -> None:
        """Take resources for failing without asking for them.

        Args:
            failures: By path, why they failed a moment ago.
        """
        for path, error in failures.items():
            if path not in self.answers:
                self.answers[path] = None
                self.problems.append(error)

    async def _is_alive(self) -> bool:
        """Whether the BMC answers again what it answered first; raises as `get` does if it does not."""
        first = next(iter(self.answers), None)
        if first is None:
            return False
        try:
            await self._http.get(first, anonymous=True)
        except HttpStatusError:
            # An answer, too.
            return True
        return True

    async def members(self, path: str | None) -> Collection:
        """Return a collection with all its pages; empty if there is none."""
        paths: dict[str, None] = {}
        bodies: list[Json] = []
        seen: set[str] = set()
        while path is not None and path not in seen and len(seen) < MAX_PAGES:
            seen.add(path)
            document = await self.get(path)
            if not isinstance(document, dict):
                break
            page = parse_collection(document, path)
            paths.update(dict.fromkeys(page.paths))
            bodies += page.bodies
            path = page.next_page
        return Collection(tuple(paths), tuple(bodies), None)

    async def each(self, path: str | None, parse: Callable[[Any, str], _T]) -> tuple[_T, ...]:
        """Return the parsed members of a collection; malformed ones are left out."""
        found = []
        for member in (await self.members(path)).paths:
            document = await self.get(member)
            if document is not None:
                try:
                    found.append(parse(document, member))
                except BmcDataError as error:
                    self.problems.append(error)
        return tuple(found)

    def offer_sessions(self, path: str | None) -> None:
        """Tell the log-in where this service makes sessions."""
        self._http.offer_sessions(path)
