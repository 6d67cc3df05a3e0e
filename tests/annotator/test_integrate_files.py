"""``energy-annotator integrate``: joules from files, without a service."""

import json

import pytest

from support.annotator import command

STEPS = [
    {
        "env": "e",
        "scenario": "s",
        "step": 'a\n"b"',
        "started_at": "1970-01-01T00:01:40Z",
        "ended_at": 160_000_000_000,
    }
]


@pytest.fixture
def files(tmp_path):
    steps = tmp_path / "steps.json"
    steps.write_text(json.dumps(STEPS))
    csv = tmp_path / "power.csv"
    csv.write_text("time,env,server,watts\n" + "".join(f"{t}000000000,e,n,100\n" for t in range(60, 200)))
    lp = tmp_path / "power.lp"
    fields = 'watts=100,window_s=1,refresh_s=1,clock="poll"'
    lines = (f"server_power,env=e,server=n,scope=server {fields} {t}000000000\n" for t in range(60, 200))
    lp.write_text("# readings\n\n" + "".join(lines))
    return {"steps": steps, "csv": csv, "lp": lp}


@pytest.mark.parametrize("kind", ["csv", "lp"])
def test_joules_from_files(files, kind):
    done = command(
        "integrate", "--power", str(files[kind]), "--steps", str(files["steps"]), "--window-s", "1"
    )
    assert done.returncode == 0, done.stderr
    [step] = json.loads(done.stdout)["steps"]
    assert step["energy_j"] == pytest.approx(6000, rel=1e-6)
    assert step["quality"] == "resolved"
    assert step["step"] == 'a\n"b"'
    assert set(step["servers"]) == {"n"}


def test_as_a_table(files):
    done = command(
        "integrate", "--power", str(files["lp"]), "--steps", str(files["steps"]), "--format", "table"
    )
    assert done.returncode == 0, done.stderr
    assert "Wh" in done.stdout
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "p.lp",
            "server_power,env=e,server=n,scope=server watts=1 5\ngarbage\n",
            "p.lp: line 2: not line protocol",
        ),
        ("p.csv", "time,env,server\n", "missing column 'watts'"),
        ("p.csv", "\xff", None),
    ],
)
def test_a_bad_file_is_one_line_and_2(files, tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content.encode("latin-1"))
    done = command("integrate", "--power", str(path), "--steps", str(files["steps"]))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert expected is None or expected in done.stderr


def test_a_missing_file_is_one_line_and_2(files, tmp_path):
    done = command("integrate", "--power", str(tmp_path / "nope.lp"), "--steps", str(files["steps"]))
    assert (done.returncode, done.stdout) == (2, "")
    assert "nope.lp: cannot be read: No such file" in done.stderr
