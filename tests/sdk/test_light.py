"""Importing the SDK loads next to nothing; what that saves is measured by `make bench`."""

import pytest


@pytest.mark.parametrize("name", ["click", "http.client", "ssl", "asyncio", "inspect", "tomllib", "uuid"])
def test_importing_the_sdk_does_not_load(impatient, python, name):
    code = f"import sys; before = {name!r} in sys.modules; from energyrecorder import Energy, set_step\n"
    done = python(f"{code}print(before or {name!r} not in sys.modules)")
    assert done.stdout == "True\n", f"{name} is loaded by importing the SDK"


def test_importing_the_package_does_not_load_the_sdk(impatient, python):
    done = python("import sys, energyrecorder.schema; print('energyrecorder.api' in sys.modules)")
    assert done.stdout == "False\n"
