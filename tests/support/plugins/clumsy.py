"""Execd plugin of tests that does what plugins should not: garbage, long lines, dying in mid-line.

Its first argument names a file in which it counts its starts; each later start prints better lines.
"""
# ruff: noqa: T201  # printing is what plugins do

import os
import sys
import time
from pathlib import Path

counter = Path(sys.argv[1])
starts = len(counter.read_text()) if counter.exists() else 0
counter.write_text("x" * (starts + 1))
now = time.time_ns()
print("E! " + "y" * 300_000, file=sys.stderr)
print("a traceback without level", file=sys.stderr)
print("W! a warning", file=sys.stderr, flush=True)
print("this is not line protocol")
print('server_power,env=pod1,server=n1,scope=server watts="many" 1')
print("server_power,env=pod1,scope=server watts=1")
sys.stdout.buffer.write(b"\xff\xfe not utf-8\n")
print("z" * 300_000)
print(f"server_power,env=pod1,server=n1,scope=server watts={100 + starts} {now}")
print(f"other_measurement,env=pod1 value=1 {now}", flush=True)
if starts < 1:
    os._exit(3)
for _ in sys.stdin:
    pass
