"""Decorators for every kind of function: outcome, name and signature, and callers left alone."""

import asyncio
import functools
import inspect

import pytest

from energyrecorder.clock import Instant
from energyrecorder.recorder import Recorder
from energyrecorder.recording import Recording, outcome_of


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "passed"),
        (ValueError("no"), "failed"),
        (AssertionError(), "failed"),
        (SystemExit(0), "passed"),
        (SystemExit(), "passed"),
        (SystemExit(3), "failed"),
        (SystemExit("no"), "failed"),
        (KeyboardInterrupt(), "aborted"),
        (GeneratorExit(), "passed"),
        (asyncio.CancelledError(), "aborted"),
    ],
)
def test_outcome_follows_from_how_the_code_ended(error, outcome):
    assert outcome_of(error) == outcome


RAISED = [ValueError("no"), SystemExit(3), KeyboardInterrupt()]
OUTCOME = {ValueError: "failed", SystemExit: "failed", KeyboardInterrupt: "aborted"}


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", ["plain", "block", "generator", "coroutine", "async generator"])
def test_an_exception_passes_through_untouched(log, kind, error):
    def fail():
        raise error

    @log.scenario("s")
    def plain():
        fail()

    def block():
        with log.scenario("s"):
            fail()

    @log.scenario("s")
    def generator():
        yield 1
        fail()

    @log.scenario("s")
    async def coroutine():
        await asyncio.sleep(0)
        fail()

    @log.scenario("s")
    async def async_generator():
        yield 1
        fail()

    async def consume():
        return [item async for item in async_generator()]

    run = {
        "plain": plain,
        "block": block,
        "generator": lambda: list(generator()),
        "coroutine": lambda: _drive(coroutine()),
        "async generator": lambda: _drive(consume()),
    }[kind]
    with pytest.raises(type(error)) as caught:
        run()
    assert caught.value is error
    assert caught.value.__context__ is None
    assert log.told() == ["+s", f"-s {OUTCOME[type(error)]}"]
    assert log.recorder.innermost() is None


def _drive(coroutine):
    """Run a coroutine without a loop, which would treat exits and interrupts in its own way."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value


def test_results_and_arguments_are_unchanged(log):
    @log.step("s")
    def function(first, *rest, key=None, **more):
        return first, rest, key, more

    assert function(1, 2, 3, key=4, function=5, name=6, self=7) == (
        1,
        (2, 3),
        4,
        {"function": 5, "name": 6, "self": 7},
    )


def test_a_function_keeps_its_kind_name_and_signature(log):
    def plain(a: int, b: str = "x") -> bool:
        """Say so."""

    async def coroutine():
        pass

    def generator():
        yield

    async def async_generator():
        yield

    step = log.step("s")
    assert inspect.iscoroutinefunction(step(coroutine))
    assert inspect.isgeneratorfunction(step(generator))
    assert inspect.isasyncgenfunction(step(async_generator))
    assert inspect.signature(step(plain)) == inspect.signature(plain)
    assert (step(plain).__name__, step(plain).__doc__) == ("plain", "Say so.")


def test_case_name_then_the_qualified_name_name_a_bare_scenario(log):
    class Case:
        case_name = "vping_ssh"

        @log.scenario()
        def run(self):
            pass

    class Nameless:
        @property
        def case_name(self):
            raise RuntimeError("not yet")

        @log.scenario()
        def run(self):
            return 5

    @log.scenario()
    def alone():
        pass

    Case().run()
    assert Nameless().run() == 5
    alone()
    names = [event["scenario"] for event in log.events if event["op"] == "start"]
    here = "test_case_name_then_the_qualified_name_name_a_bare_scenario.<locals>"
    assert names == ["vping_ssh", f"{here}.Nameless.run", f"{here}.alone"]


def test_methods_of_every_kind_are_recorded(log):
    class Case:
        @classmethod
        @log.step("inside")
        def a(cls):
            return cls

        @log.step("outside")
        @classmethod
        def b(cls):
            return cls

        @log.step("static")
        @staticmethod
        def c(x):
            return x

    assert (Case.a(), Case().b(), Case.c(3)) == (Case, Case, 3)
    assert log.told()[::2] == ["+inside", "+outside", "+static"]


def test_a_class_is_left_as_it_is(log):
    @log.scenario("s")
    class Case:
        pass

    assert isinstance(Case, type)
    assert isinstance(Case(), Case)


def test_a_partial_is_recorded(log):
    assert log.step("s")(functools.partial(int, base=2))("101") == 5
    assert log.told() == ["+s", "-s passed"]


def test_a_generator_is_recorded_from_first_to_last_item_only_while_it_runs(log):
    seen = []

    @log.step("gen")
    def generator():
        seen.append(log.recorder.current().step)
        received = yield 1
        with log.step("inner"):
            yield received
        return "end"

    def outer():
        seen.append((yield from generator()))

    with log.scenario("root"):
        running = outer()
        assert log.told() == ["+root"]
        assert next(running) == 1
        assert log.recorder.current().step is None
        assert running.send("x") == "x"
        assert log.recorder.current().step is None
        with log.step("between"):
            pass
        assert list(running) == []
    assert seen == ["gen", "end"]
    assert (log.parent_of("inner"), log.parent_of("between")) == ("gen", "root")
    assert log.told()[-1] == "-root passed"


def test_a_generator_takes_throw_and_close_as_if_not_recorded(log):
    events = []

    @log.step("gen")
    def generator():
        try:
            yield 1
        except KeyError:
            events.append("caught")
            yield 2
        finally:
            events.append("closed")

    running = generator()
    assert next(running) == 1
    assert running.throw(KeyError("x")) == 2
    running.close()
    assert events == ["caught", "closed"]
    assert log.told() == ["+gen", "-gen passed"]
    never = generator()
    never.close()
    assert len(log.told()) == 2


def test_an_async_generator_takes_send_throw_and_close(log):
    @log.step("gen")
    async def generator():
        received = yield 1
        try:
            yield received
        except KeyError:
            yield 3

    async def use():
        running = generator()
        items = [await running.__anext__(), await running.asend(2), await running.athrow(KeyError("x"))]
        await running.aclose()
        return items

    assert asyncio.run(use()) == [1, 2, 3]
    assert log.told() == ["+gen", "-gen passed"]


def test_a_cancelled_task_is_aborted(log):
    @log.step("s")
    async def forever():
        await asyncio.Event().wait()

    async def main():
        task = asyncio.ensure_future(forever())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert log.told() == ["+s", "-s aborted"]


def test_a_recorder_that_breaks_changes_nothing_for_the_caller():
    def broken(event):
        raise RuntimeError("ours")

    recorder = Recorder(broken, lambda: Instant(1, 1, None))
    step = Recording(recorder, "s", is_step=True)

    @step
    def function():
        return 5

    @step
    def generator():
        yield 5

    @step
    async def coroutine():
        return 5

    with step:
        pass
    recorder.start("x")
    recorder.set_step("x")
    recorder.mark("x")
    recorder.stop()
    assert (function(), list(generator()), asyncio.run(coroutine())) == (5, [5], 5)
