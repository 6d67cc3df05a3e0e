"""Decorators and context managers: nesting, outcomes, kinds of functions, and nothing changed for the caller."""

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import re
import threading

import pytest

from energyrecorder.clock import Instant
from energyrecorder.environment import Inherited
from energyrecorder.recorder import Recorder, new_id
from energyrecorder.recording import Recording, outcome_of


class Log:
    """A recorder whose events are kept in a list, on a clock that counts."""

    def __init__(self, inherited=None):
        self.events = []
        self.count = 0
        self.recorder = Recorder(self.events.append, self.now, lambda: inherited)

    def now(self):
        self.count += 1
        return Instant(self.count, self.count, "boot")

    def scenario(self, name=None, **options):
        return Recording(self.recorder, name, is_step=False, **options)

    def step(self, name=None, **options):
        return Recording(self.recorder, name, is_step=True, **options)

    def told(self):
        """Return ``+name`` and ``-name outcome`` in order."""
        return [
            f"+{_name(event)}" if event["op"] == "start" else f"-{_name(event)} {event['outcome']}"
            for event in self.events
            if event["op"] in {"start", "stop"}
        ]

    def parent_of(self, name):
        ids = {event["step_id"]: _name(event) for event in self.events if event["op"] == "start"}
        (start,) = [e for e in self.events if e["op"] == "start" and _name(e) == name]
        return ids.get(start.get("parent_id"))


def _name(event):
    return event.get("step") or event["scenario"]


@pytest.fixture
def log():
    return Log()


def test_a_step_lies_in_the_scenario_around_it(log):
    with log.scenario("functest"), log.step("boot"), log.step("kernel"):
        pass
    assert log.told() == ["+functest", "+boot", "+kernel", "-kernel passed", "-boot passed", "-functest passed"]
    assert (log.parent_of("kernel"), log.parent_of("boot"), log.parent_of("functest")) == ("boot", "functest", None)
    assert {event["scenario"] for event in log.events} == {"functest"}


def test_a_step_without_a_scenario_is_a_run_of_its_own(log):
    with log.step("boot"):
        pass
    assert log.events[0]["scenario"] == "boot"
    assert "step" not in log.events[0]


def test_a_scenario_within_a_scenario_is_its_child(log):
    with log.scenario("outer"), log.scenario("inner"):
        pass
    assert log.parent_of("inner") == "outer"
    assert [event["scenario"] for event in log.events] == ["outer", "inner", "inner", "outer"]


def test_what_a_parent_process_told_is_the_parent():
    log = Log(Inherited("run-1", "step-1", "functest"))
    with log.step("boot") as scope:
        pass
    assert log.events[0]["parent_id"] == "step-1"
    assert log.events[0]["scenario"] == "functest"
    assert scope.run_id == "run-1"


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


def test_recursion_nests(log):
    @log.step("s")
    def down(depth):
        return depth and down(depth - 1)

    with log.scenario("root"):
        down(2)
    assert log.told() == ["+root", "+s", "+s", "+s", "-s passed", "-s passed", "-s passed", "-root passed"]


def test_one_object_may_be_used_again_and_nested(log):
    step = log.step("s")
    with log.scenario("root"):
        for _ in range(2):
            with step, step:
                pass
    assert log.told().count("-s passed") == 4


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


def test_tasks_nest_each_for_themselves(log):
    barrier = []

    @log.step()
    async def worker(name):
        barrier.append(name)
        while len(barrier) < 2:
            await asyncio.sleep(0)
        with log.step(f"inner {name}") as scope:
            await asyncio.sleep(0)
        return scope.parent_id

    async def main():
        with log.scenario("root"):
            return await asyncio.gather(worker("a"), worker("b"))

    first, second = asyncio.run(main())
    assert first != second
    workers = [e for e in log.events if e["op"] == "start" and e.get("step", "").endswith("worker")]
    assert {event["step_id"] for event in workers} == {first, second}
    assert {event["parent_id"] for event in workers} == {log.events[0]["step_id"]}


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


def test_a_thread_without_context_belongs_to_the_open_scenario(log):
    def work():
        with log.step("w"):
            pass

    with log.scenario("root"), log.step("main"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            context = contextvars.copy_context()
            pool.submit(context.run, lambda: log.step("exact")(lambda: None)()).result()
    assert log.parent_of("w") == "root"
    assert log.parent_of("exact") == "main"


def test_many_threads_at_once_leave_nothing_open(log):
    def work():
        for _ in range(200):
            with log.step("s"), log.step("t"):
                pass

    with log.scenario("root"):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    starts = {e["step_id"] for e in log.events if e["op"] == "start"}
    stops = [e["step_id"] for e in log.events if e["op"] == "stop"]
    assert len(starts) == 4 * 400 + 1
    assert starts == set(stops)
    assert len(stops) == len(starts)
    assert log.recorder.current() is None


def test_an_implicit_step_ends_with_the_next_and_with_its_scope(log):
    with log.scenario("root"):
        log.recorder.set_step("one")
        with log.step("block"):
            log.recorder.set_step("deep")
        log.recorder.set_step("two")
    assert log.told() == [
        "+root",
        "+one",
        "+block",
        "+deep",
        "-deep passed",
        "-block passed",
        "-one passed",
        "+two",
        "-two passed",
        "-root passed",
    ]
    assert (log.parent_of("one"), log.parent_of("deep"), log.parent_of("two")) == ("root", "block", "root")


def test_set_step_without_a_scope_asks_the_annotator_for_the_open_run(log):
    log.recorder.set_step("one")
    assert [(event["op"], event["step"]) for event in log.events] == [("step", "one")]
    assert log.events[0]["step_id"]


def test_start_and_stop_bracket_a_scenario(log):
    log.recorder.start("functest")
    with log.step("boot"):
        pass
    log.recorder.stop("failed")
    log.recorder.stop()
    assert log.told() == ["+functest", "+boot", "-boot passed", "-functest failed"]
    assert log.recorder.current() is None


def test_what_is_open_at_the_end_is_aborted_from_the_inside_out(log):
    log.recorder.start("functest")
    log.recorder.set_step("boot")
    log.recorder.close_all()
    log.recorder.close_all()
    assert log.told() == ["+functest", "+boot", "-boot aborted", "-functest aborted"]


def test_a_mark_names_the_run_it_lies_in(log):
    with log.scenario("functest") as scope:
        log.recorder.mark("vm destroyed", "by hand")
    mark = log.events[1]
    assert (mark["op"], mark["title"], mark["text"]) == ("mark", "vm destroyed", "by hand")
    assert (mark["run_id"], mark["scenario"]) == (scope.run_id, "functest")


def test_servers_tags_and_work_are_told(log):
    with log.scenario("s", servers=["node-*"], tags={"build": 7}, work=12):
        pass
    assert (log.events[0]["servers"], log.events[0]["tags"], log.events[0]["work"]) == (["node-*"], {"build": "7"}, 12)


@pytest.mark.parametrize("name", ["a\nb", 'quo"te', "a,b=c d", "🔋" * 10, "x" * 10_000, "bad \udcff byte"])
def test_any_name_is_text_that_can_be_sent(log, name):
    with log.step(name):
        pass
    log.events[0]["scenario"].encode()


def test_a_blank_name_is_replaced_by_one_that_is_accepted(log):
    with log.scenario(" \n"):
        pass
    assert log.events[0]["scenario"] == "unnamed"


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


def test_a_block_left_in_another_context_is_closed(log):
    step = log.step("s")
    context = contextvars.copy_context()
    context.run(step.__enter__)
    step.__exit__(None, None, None)
    assert log.told() == ["+s", "-s passed"]


def test_ids_are_random_uuids_of_version_4():
    form = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(form.fullmatch(text) for text in ids)


def test_the_environment_of_a_scope_makes_a_child_process_its_child(log):
    with log.scenario("functest") as root, log.step("boot") as scope:
        assert scope.environ == {
            "ENERGY_RUN_ID": root.step_id,
            "ENERGY_STEP_ID": scope.step_id,
            "ENERGY_SCENARIO": "functest",
        }
