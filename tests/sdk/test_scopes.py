"""Which scope lies in which: threads, tasks, implicit steps, marks, and what is told of each."""

import asyncio
import concurrent.futures
import contextvars
import re
import threading

import pytest

from energyrecorder.environment import Inherited
from energyrecorder.recorder import new_id


def test_a_step_lies_in_the_scenario_around_it(log):
    with log.scenario("functest"), log.step("boot"), log.step("kernel"):
        pass
    assert log.told() == [
        "+functest",
        "+boot",
        "+kernel",
        "-kernel passed",
        "-boot passed",
        "-functest passed",
    ]
    assert (log.parent_of("kernel"), log.parent_of("boot"), log.parent_of("functest")) == (
        "boot",
        "functest",
        None,
    )
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


def test_what_a_parent_process_told_is_the_parent(log_within):
    log = log_within(Inherited("run-1", "step-1", "functest"))
    with log.step("boot") as scope:
        pass
    assert log.events[0]["parent_id"] == "step-1"
    assert log.events[0]["scenario"] == "functest"
    assert scope.run_id == "run-1"


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


def test_tasks_nest_each_for_themselves(log):
    barrier = []

    @log.step()
    async def worker(name):
        barrier.append(name)
        while len(barrier) < 2:  # noqa: ASYNC110  # the other worker needs one turn, not a signal
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
            pool.submit(context.run, log.step("exact")(lambda: None)).result()
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
    assert (log.events[0]["servers"], log.events[0]["tags"], log.events[0]["work"]) == (
        ["node-*"],
        {"build": "7"},
        12,
    )


def test_one_server_may_be_given_as_a_text(log):
    with log.scenario("s", servers="node-1"):
        pass
    assert log.events[0]["servers"] == ["node-1"]


@pytest.mark.parametrize("options", [{"work": "many"}, {"tags": 5}, {"servers": 5}], ids=str)
def test_options_that_cannot_be_understood_lose_no_step(log, options):
    with log.scenario("s", **options):
        pass
    assert log.told() == ["+s", "-s passed"]


@pytest.mark.parametrize("name", ["a\nb", 'quo"te', "a,b=c d", "🔋" * 10, "x" * 10_000, "bad \udcff byte"])
def test_any_name_is_text_that_can_be_sent(log, name):
    with log.step(name):
        pass
    log.events[0]["scenario"].encode()


def test_a_blank_name_is_replaced_by_one_that_is_accepted(log):
    with log.scenario(" \n"):
        pass
    assert log.events[0]["scenario"] == "unnamed"


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
