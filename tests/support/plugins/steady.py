"""Execd plugin of tests: two servers of constant power, a line each for every 0.2 s until stdin closes.

Where the machine makes it late, it makes up for what it missed: its readings have no gaps whatever happens.
"""
# ruff: noqa: T201  # printing is what plugins do

import sys
import threading
import time

EVERY_NS = 200_000_000

closed = threading.Event()


def watch_stdin():
    while sys.stdin.buffer.read(1):
        pass
    closed.set()


threading.Thread(target=watch_stdin, daemon=True).start()
print("I! steady plugin is up", file=sys.stderr, flush=True)
FIELDS = 'window_s=0.2,refresh_s=0.2,clock="poll",source="power_control",protocol="redfish",side="ac"'
next_ns = time.time_ns()
while not closed.wait(max(0.0, (next_ns - time.time_ns()) / 1e9)):
    for server, watts in (("node-1", 200.0), ("node-2", 100.0)):
        print(f"server_power,env=pod1,server={server},scope=server watts={watts},{FIELDS} {next_ns}")
        print(f'server_bmc,env=pod1,server={server} up=1i,host="on",error="" {next_ns}')
    sys.stdout.flush()
    next_ns += EVERY_NS
print("I! steady plugin ends", file=sys.stderr, flush=True)
