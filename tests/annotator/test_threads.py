"""The event loop's threads, which hold up nobody, and the time the end may take."""

import subprocess
import sys
import threading

import pytest

from energyrecorder_annotator.threads import DaemonThreads, End

HANGS = """
import asyncio, time
from energyrecorder_annotator.threads import DaemonThreads

async def main():
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    hanging = asyncio.create_task(asyncio.to_thread(time.sleep, 3600))
    print(await asyncio.to_thread(lambda: "done"))
    hanging.cancel()

asyncio.run(main())
"""


def test_what_is_submitted_is_done_however_much_it_is():
    threads = DaemonThreads(most=3)
    used, gate = set(), threading.Barrier(3)

    def work(number):
        if number < 3:
            gate.wait(60)
        used.add(threading.get_ident())
        return number

    futures = [threads.submit(work, number) for number in range(200)]
    assert [future.result(60) for future in futures] == list(range(200))
    assert len(used) == 3
    assert threads.submit(work, 7).result(60) == 7


def test_a_failure_is_the_callers():
    threads = DaemonThreads(most=1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result(60)
    assert threads.submit(lambda: 5).result(60) == 5


def test_what_is_cancelled_before_it_began_is_not_done():
    threads = DaemonThreads(most=1)
    gate, done = threading.Event(), []
    first = threads.submit(gate.wait, 60)
    second = threads.submit(done.append, 1)
    assert second.cancel()
    gate.set()
    assert first.result(60)
    assert threads.submit(lambda: 5).result(60) == 5
    assert done == []


def test_a_process_ends_while_a_thread_hangs():
    ended = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=110, check=True
    )
    assert ended.stdout == "done\n"


def test_the_time_that_is_left_only_shrinks_and_something_is_always_tried():
    end = End()
    first = end.left_s(most=100.0)
    assert 0.2 <= end.left_s(most=100.0) <= first <= 4.8
    assert end.left_s(most=0.3) <= 0.3
