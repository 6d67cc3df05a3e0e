"""What type checkers must see of the SDK; checked by mypy --strict, never run."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from energyrecorder import Energy, enable_recording, set_step
from energyrecorder.recorder import Scope


@enable_recording
def bare(a: int, b: str = "") -> bool:
    return bool(a or b)


@enable_recording("functest")
def named(a: int) -> str:
    return str(a)


@set_step("boot", servers=["node-*"], tags={"build": "7"}, work=12)
async def coroutine(a: int) -> str:
    return str(a)


@set_step()
def generator(a: int) -> Iterator[int]:
    yield a


@set_step("s")
async def async_generator(a: int) -> AsyncIterator[int]:
    yield a


class Case:
    """Methods of every kind."""

    case_name = "vping"

    @enable_recording
    def run(self, count: int) -> float:
        return float(count)

    @classmethod
    @set_step("c")
    def make(cls) -> Case:
        return cls()

    @staticmethod
    @set_step("s")
    def twice(a: int) -> int:
        return 2 * a


assert_type(bare(1, b="x"), bool)
assert_type(named(1), str)
assert_type(list(generator(1)), list[int])
assert_type(Case().run(1), float)
assert_type(Case.make(), Case)
assert_type(Case.twice(1), int)
bare("x")  # type: ignore[arg-type]
named(1, 2)  # type: ignore[call-arg]
Case().run()  # type: ignore[call-arg]
enable_recording(5)  # type: ignore[call-overload]
set_step("x", servers=5)  # type: ignore[call-overload]
Energy.start(5)  # type: ignore[arg-type]


async def use() -> None:
    """Await what is awaitable."""
    assert_type(await coroutine(1), str)
    async for item in async_generator(1):
        assert_type(item, int)


with set_step("block") as scope:
    assert_type(scope, Scope | None)
with enable_recording("scenario"):
    Energy.set_step("one")
    Energy.mark("note", text="more")
    assert_type(Energy.current(), Scope | None)
Energy.start("functest")
Energy.stop(outcome="failed")
assert_type(functools.partial(bare, 1)(), bool)
