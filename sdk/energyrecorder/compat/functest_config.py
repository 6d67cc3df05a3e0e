"""Where Functest's configuration names the recorder, for test code that never set an environment variable."""

from __future__ import annotations

import importlib
from typing import Any, MutableMapping, Optional

from energyrecorder.edge import never_raises

_KEYS = {
    "ENERGY_RECORDER_API_URL": "energy_recorder.api_url",
    "ENERGY_RECORDER_API_USER": "energy_recorder.api_user",
    "ENERGY_RECORDER_API_PASSWORD": "energy_recorder.api_password",
}
_READERS = ("functest.utils.functest_utils", "xtesting.utils.functest_utils")


@never_raises
def adopt_functest_config(environ: MutableMapping[str, str]) -> None:
    """Set the original's variables from Functest's configuration, where it is importable.

    Args:
        environ: Variables of this process; what they hold already stays.
    """
    if environ.get("ENERGY_URL") or environ.get("ENERGY_RECORDER_API_URL"):
        return
    for module in _READERS:
        found = {name: _setting(module, key) for name, key in _KEYS.items()}
        if found["ENERGY_RECORDER_API_URL"]:
            environ.update({name: value for name, value in found.items() if value})
            _adopt_pod_name(module, environ)
            return


@never_raises
def _setting(module: str, key: str) -> Optional[str]:
    value = getattr(importlib.import_module(module), "get_functest_config")(key)  # noqa: B009  # foreign, untyped
    return value if isinstance(value, str) and value else None


@never_raises
def _adopt_pod_name(module: str, environ: MutableMapping[str, str]) -> None:
    if environ.get("ENERGY_ENV") or environ.get("NODE_NAME"):
        return
    name: Any = getattr(importlib.import_module(module), "get_pod_name")()  # noqa: B009  # as above
    if isinstance(name, str) and name:
        environ["NODE_NAME"] = name
