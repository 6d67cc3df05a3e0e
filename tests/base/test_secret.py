"""A secret shows itself only to the one call that asks for it."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret, is_reference, resolve

WORD = "hunter2-never-shown"


def test_every_way_of_showing_is_masked(caplog):
    """Repr, str, format, logging, tracebacks and containers show the mask."""
    secret = Secret(WORD)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret:>20}",
        repr([secret]),
        f"{vars}",
    ]
    logging.getLogger("x").warning("log in with %s %r", secret, secret)
    shown.extend(traceback.format_exception(ValueError(secret)))
    assert WORD not in " ".join(shown) + caplog.text
    assert secret.reveal() == WORD


def test_it_is_not_serialised():
    """Neither pickle nor JSON carries it away."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret(WORD))
    with pytest.raises(TypeError):
        copy.copy(Secret(WORD))
    with pytest.raises(TypeError):
        json.dumps(Secret(WORD))


def test_equality_and_truth():
    """Secrets compare by their text; an empty one is false."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


def test_references(tmp_path):
    """A whole value may refer to the environment or to a file; anything else is a literal."""
    path = tmp_path / "password"
    path.write_text(f"{WORD}\nsecond line\n")
    assert resolve("{env=BMC}", where="f", environ={"BMC": WORD}).reveal() == WORD
    assert resolve(f"{{file={path}}}", where="f").reveal() == WORD
    assert resolve("pa$$w{or}d", where="f").reveal() == "pa$$w{or}d"
    assert is_reference("{env=A}")
    assert not is_reference("x{env=A}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{env=NOT_SET}", "fleet.toml: [credentials.lab]: environment variable NOT_SET is not set"),
        ("{file=/does/not/exist}", "secret file '/does/not/exist' cannot be read: No such file or directory"),
    ],
)
def test_a_missing_secret_is_named(text, message):
    """What is missing is named, with the place that asks for it."""
    with pytest.raises(ConfigError) as caught:
        resolve(text, where="fleet.toml: [credentials.lab]", environ={})
    assert message in str(caught.value)


def test_an_empty_secret_file_is_refused(tmp_path):
    """An empty file is no password."""
    (tmp_path / "empty").write_text("")
    with pytest.raises(ConfigError, match="is empty"):
        resolve(f"{{file={tmp_path / 'empty'}}}", where="f")
