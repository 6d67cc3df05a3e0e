"""Pins written into the text of a fleet file: only what must change changes."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_execd.fleet.edit import with_pins

PIN = "ab" * 32
OTHER = "cd" * 32
FLEET = f"""# the lab
[defaults]
env = "pod1"
tls = "verify"   # for all

[[server]]   # first
id = "a"
host = "10.0.0.1"

[[server]]
tls = "pin:sha256:{OTHER}"  # old
id = "b"
host = "10.0.0.2"
[server.tags]
rack = "r7"

[credentials.lab]
user = "monitor"
"""


def test_a_pin_is_added_and_one_is_replaced():
    """Comments, order and all other tables stay."""
    changed = with_pins(FLEET, {"a": PIN, "b": PIN})
    servers = tomllib.loads(changed)["server"]
    assert [server["tls"] for server in servers] == [f"pin:sha256:{PIN}"] * 2
    assert servers[1]["tags"] == {"rack": "r7"}
    assert "# the lab\n" in changed
    assert "  # old\n" in changed
    assert "# first\n" in changed
    assert tomllib.loads(changed)["defaults"] == tomllib.loads(FLEET)["defaults"]
    assert with_pins(FLEET, {"c": PIN}) == FLEET


def test_a_range_becomes_one_table_each():
    """Each BMC has its own certificate; those without a pin keep what they had."""
    text = '[[server]]\nid = "n-[01-03]"\nhost = "10.0.0.[1-3]"\ntags = { rack = "r7" }'
    servers = tomllib.loads(with_pins(text, {"n-01": PIN, "n-03": OTHER}))["server"]
    assert [server["id"] for server in servers] == ["n-01", "n-02", "n-03"]
    assert [server["host"] for server in servers] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert [server.get("tls") for server in servers] == [f"pin:sha256:{PIN}", None, f"pin:sha256:{OTHER}"]
    assert all(server["tags"] == {"rack": "r7"} for server in servers)


@pytest.mark.parametrize(
    "text",
    [
        'server = [{ id = "a", host = "h" }]',
        '[[server]]\nid = "a"\nhost = "h"\nnote = """\n[[server]]\n"""\n',
        '[[server]]\nid = "a"\nhost = "h"\ntls = """off"""\n',
    ],
)
def test_what_cannot_be_changed_with_certainty_is_refused(text):
    """Then a person writes it; the text is never guessed at."""
    changed = with_pins(text, {"a": PIN})
    assert changed is None or tomllib.loads(changed)["server"][0]["tls"] == f"pin:sha256:{PIN}"


NAMES = st.sampled_from(["a", "b", "c-[1-2]", "d"])


@given(
    st.lists(NAMES, unique=True, max_size=4),
    st.sets(st.sampled_from(["a", "b", "c-1", "c-2", "d"])),
    st.sampled_from(["", "# c\n", "\n\n", "  \n"]),
)
def test_any_file_keeps_all_but_the_pins(ids, pinned, between):
    """Whatever stands between the tables; what is not pinned is not changed."""
    blocks = [f'[[server]]\nid = "{one}"\nhost = "{one.replace("c", "h")}"\n{between}' for one in ids]
    text = "[defaults]\nenv = 'x'\n" + "".join(blocks)
    changed = with_pins(text, dict.fromkeys(pinned, PIN))
    before, after = tomllib.loads(text).get("server", []), tomllib.loads(changed).get("server", [])
    wanted = {server["id"] for server in after if "tls" in server}
    known = {name for one in ids for name in (["c-1", "c-2"] if one.startswith("c") else [one])}
    assert wanted == pinned & known
    if not wanted:
        assert (text, before) == (changed, after)
