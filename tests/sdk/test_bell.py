"""A bell that was rung wakes one wait, whenever and however often it was rung before."""

import threading

from energyrecorder.bell import Bell


def test_what_rang_before_is_heard_once():
    bell = Bell()
    assert not bell.wait(0)
    bell.ring()
    bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0)


def test_ringing_wakes_who_waits():
    bell, heard = Bell(), []
    waiting = threading.Thread(target=lambda: heard.append(bell.wait(100)))
    waiting.start()
    bell.ring()
    waiting.join(30)
    assert heard == [True]


def test_many_that_ring_at_once_leave_it_rung():
    bell = Bell()
    for _ in range(200):
        ringing = [threading.Thread(target=bell.ring) for _ in range(4)]
        for thread in ringing:
            thread.start()
        for thread in ringing:
            thread.join()
        assert bell.wait(0)
