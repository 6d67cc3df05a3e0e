"""The CI snippets must be valid for their systems, and their shell must do what they promise."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_groovy
import yaml

from support.tools import need

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "deploy" / "ci"
ACTION, WORKFLOW = CI / "github" / "action.yml", CI / "github" / "workflow.yml"
GITLAB, JENKINS = CI / "gitlab" / "energy.gitlab-ci.yml", CI / "jenkins" / "Jenkinsfile"
BIN = Path(sys.executable).parent


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def shell_of_jenkins():
    """Return the commands of every `sh` step, found in the syntax tree."""
    tree = _groovy(JENKINS.read_bytes())
    found, todo = [], [tree.root_node]
    while todo:
        node = todo.pop()
        todo += reversed(node.children)
        text = node.text.decode()
        if node.type == "character_literal" and text.startswith("'energy-step"):
            found.append(text.strip("'"))
    return found


def _groovy(raw):
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_groovy.language())).parse(raw)


def scripts():
    """Return every piece of shell in the snippets, by where it stands."""
    action = [step["run"] for step in load(ACTION)["runs"]["steps"]]
    gitlab = load(GITLAB)
    lines = [
        gitlab[".energy"]["before_script"],
        gitlab[".energy"]["after_script"],
        gitlab["functest"]["script"],
        gitlab[".energy-gate"]["script"],
    ]
    return {
        **{f"github-{number}": text for number, text in enumerate(action)},
        **{f"gitlab-{number}": "\n".join(text) for number, text in enumerate(lines)},
        **{f"jenkins-{number}": text for number, text in enumerate(shell_of_jenkins())},
    }


@pytest.mark.parametrize(
    ("schema", "path"), [("github-actions", ACTION), ("github-workflows", WORKFLOW), ("gitlab-ci", GITLAB)]
)
def test_the_yaml_is_what_its_system_reads(schema, path):
    """Checked against the schema that check-jsonschema carries."""
    command = [BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", path]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_workflow_gives_the_action_what_it_takes():
    """Every input of the example exists, and every required one is given."""
    inputs = load(ACTION)["inputs"]
    given = load(WORKFLOW)["jobs"]["functest"]["steps"][1]["with"]
    assert set(given) <= set(inputs)
    assert {name for name, told in inputs.items() if told.get("required")} <= set(given)


def test_the_pipeline_parses_as_groovy():
    """No syntax error, and a broken one would be seen; its shell is found."""
    raw = JENKINS.read_bytes()
    assert not _groovy(raw).root_node.has_error
    assert _groovy(raw[: len(raw) - 4]).root_node.has_error
    assert len(shell_of_jenkins()) == 9


@pytest.mark.parametrize("name", sorted(scripts()))
def test_the_shell_passes_shellcheck(name):
    """No quoting mistake, no syntax error."""
    command = [BIN / "shellcheck", "--shell=bash", "--severity=style", "-"]
    text = scripts()[name]
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stdout


@pytest.fixture
def github(tmp_path, told):
    """Variables of a job on a GitHub runner."""
    files = {
        name: str(tmp_path / name.lower()) for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    }
    runner = {"GITHUB_RUN_ID": "77", "GITHUB_JOB": "functest", "RUNNER_TEMP": str(tmp_path), "WAIT": "20"}
    known = {name: value for name, value in told.items() if name != "ENERGY_STATE_FILE"}
    return {**known, **files, **runner, "ENERGY_TOKEN": "", "STEP": ""}


@pytest.mark.parametrize(
    ("command", "code", "state"), [("echo hi; true", 0, "passed"), ("false; echo no", 1, "failed")]
)
def test_the_action_keeps_the_exit_code_and_tells_the_run(run, runs, github, tmp_path, command, code, state):
    """The command's output and code, one ended run, its id as output, one table in summary and log."""
    scenario = f"action-{state}"
    script = tmp_path / "action.sh"
    script.write_text(load(ACTION)["runs"]["steps"][1]["run"])
    bash = (need("bash"), "--noprofile", "--norc", "-e", "-o", "pipefail", script)
    result = run(*bash, environ={**github, "SCENARIO": scenario, "COMMAND": command})
    assert result.returncode == code, result.stderr
    assert result.stdout == ("hi\n" if code == 0 else "")
    assert runs.tree(scenario) == (scenario, state, [(scenario, state, [])])
    run_id = runs.only(scenario)[0]["run_id"]
    assert f"run_id={run_id}" in (tmp_path / "github_output").read_text()
    assert (tmp_path / "github_step_summary").read_text().count(f"\n## {scenario} ") == 1
    assert run_id in result.stderr


def test_a_gitlab_job_starts_steps_and_stops_in_three_shells(run, runs, told, write, tmp_path):
    """`before_script` and `script` share a shell, `after_script` has its own: the job's id joins them."""
    write("Makefile", "boot traffic:\n\t@echo $@\n")
    gitlab = load(GITLAB)
    known = {name: value for name, value in told.items() if name != "ENERGY_STATE_FILE"}
    job = {**known, "CI_JOB_ID": "12", "CI_PROJECT_DIR": str(tmp_path), "ENERGY_SCENARIO_NAME": "gitlab-1"}
    first = "\n".join([*gitlab[".energy"]["before_script"], *gitlab["functest"]["script"]])
    last = "\n".join(gitlab[".energy"]["after_script"]).replace("--wait 60", "--wait 1")
    need("make")
    assert run("bash", "-e", "-c", first, environ=job).stdout == "boot\ntraffic\n"
    assert run("bash", "-e", "-c", last, environ={**job, "CI_JOB_STATUS": "success"}).returncode == 0
    name, state, children = runs.tree("gitlab-1")
    assert (name, state) == ("gitlab-1", "passed")
    flat = json.dumps(children)
    assert '"boot"' in flat
    assert '"traffic"' in flat
    assert (tmp_path / "energy.html").read_text().startswith("<!")


def test_the_shell_of_the_pipeline_runs(run, runs, told, write, tmp_path):
    """Each `sh` is a shell of its own: the build's tag joins them."""
    write("Makefile", "boot traffic:\n\t@echo $@\n")
    known = {name: value for name, value in told.items() if name != "ENERGY_STATE_FILE"}
    job = {**known, "BUILD_TAG": "jenkins-lab-7", "WORKSPACE": str(tmp_path), "JOB_NAME": "jenkins-1"}
    stages = shell_of_jenkins()
    later = ("--outcome", "report", "gate")
    wanted = [text for text in stages if not any(word in text for word in later)]
    assert len(wanted) == 3
    for text in (*wanted, "energy-step stop --outcome passed"):
        assert run("sh", "-c", text, environ=job).returncode == 0
    tree = runs.tree("jenkins-1")
    assert tree == ("jenkins-1", "passed", [("boot", "passed", []), ("traffic", "passed", [])])
    assert shutil.which("energy-step", path=told["PATH"].split(os.pathsep)[0])


def gates():
    """Return the gate of each system, by its name."""
    (step,) = [step for step in load(WORKFLOW)["jobs"]["functest"]["steps"] if "gate" in step.get("run", "")]
    (jenkins,) = [text for text in shell_of_jenkins() if " gate " in text]
    return {
        "github": step["run"],
        "gitlab": "\n".join(load(GITLAB)[".energy-gate"]["script"]),
        "jenkins": jenkins,
    }


@pytest.mark.parametrize("system", ["github", "gitlab", "jenkins"])
def test_a_gate_without_a_history_passes_and_says_why(run, told, tmp_path, system):
    """The first build of a branch has nothing to be compared with; the JUnit file says so."""
    names = dict.fromkeys(("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT"), "0123456789abcdef")
    job = {**told, **names, "ENERGY_BASELINE": "branch:main,last=20"}
    script = gates()[system].replace("--wait 150", "--wait 1")
    result = run("bash", "-e", "-o", "pipefail", "-c", script, environ=job)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "energy.xml").read_text().startswith("<?xml")
