"""Execd plugin of tests: two servers of constant power, a line each every 0.2 s until stdin closes."""
# ruff: noqa: T201  # printing is what plugins do

import sys
import threading
import time

closed = threading.Event()


def watch_stdin():
    while sys.stdin.buffer.read(1):
        pass
    closed.set()


threading.Thread(target=watch_stdin, daemon=True).start()
print("I! steady plugin is up", file=sys.stderr, flush=True)
FIELDS = 'window_s=0.2,refresh_s=0.2,clock="poll",source="power_control",protocol="redfish",side="ac"'
while not closed.wait(0.2):
    now = time.time_ns()
    for server, watts in (("node-1", 200.0), ("node-2", 100.0)):
        print(f"server_power,env=pod1,server={server},scope=server watts={watts},{FIELDS} {now}")
        print(f'server_bmc,env=pod1,server={server} up=1i,host="on",error="" {now}')
    sys.stdout.flush()
print("I! steady plugin ends", file=sys.stderr, flush=True)
