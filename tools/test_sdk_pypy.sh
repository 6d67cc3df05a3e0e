#!/bin/sh
# Runs the SDK's tests under Debian's pypy3 (Python 3.9), with nothing installed but click and pytest.
set -eu
cd "$(dirname "$0")/.."
venv=build/pypy
if ! command -v pypy3 >/dev/null; then
    echo "skipped: pypy3 is not installed (make servers)" >&2
    # In CI a missing interpreter is a failure, not a skip.
    [ "${CI:-}" != true ]
    exit
fi
[ -x "$venv/bin/python" ] || pypy3 -m venv "$venv"
"$venv/bin/python" -c 'import click, pytest' 2>/dev/null || "$venv/bin/pip" install -q 'click>=8.1' 'pytest>=8'
# Its own settings: those of pyproject.toml ask for plugins that are not there.
PYTHONPATH="$PWD/sdk" exec "$venv/bin/python" -m pytest -c tests/sdk/pypy.ini --rootdir . --import-mode=importlib \
    -p no:cacheprovider -q "$@" tests/sdk
