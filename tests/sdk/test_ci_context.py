"""What is told of a CI job: an allow-list under OpenTelemetry's names, and never a person."""

import pytest

from energyrecorder.ci_context import ci_context

TRACE = "0af7651916cd43dd8448eb211c80319c"
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_WORKFLOW": "nightly",
    "GITHUB_RUN_ID": "99",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_JOB": "functest",
    "GITHUB_SHA": "c0ffee",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "some-person/vnf",
    "RUNNER_NAME": "lab-1",
    "GITHUB_ACTOR": "some-person",
    "GITHUB_TRIGGERING_ACTOR": "some-person",
    "GITHUB_TOKEN": "secret",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_PROJECT_PATH": "nfv/vnf",
    "CI_PIPELINE_ID": "7",
    "CI_PIPELINE_URL": "https://user:secret@gitlab.example/nfv/vnf/-/pipelines/7",
    "CI_JOB_NAME": "functest",
    "CI_JOB_ID": "70",
    "CI_JOB_URL": "https://gitlab.example/nfv/vnf/-/jobs/70",
    "CI_COMMIT_SHA": "c0ffee",
    "CI_COMMIT_REF_NAME": "main",
    "GITLAB_USER_NAME": "Some Person",
    "GITLAB_USER_EMAIL": "some-person@example.org",
    "CI_COMMIT_AUTHOR": "Some Person <some-person@example.org>",
    "CI_JOB_TOKEN": "secret",
}
JENKINS = {
    "JENKINS_URL": "https://ci.example/",
    "JOB_NAME": "functest-pod1",
    "BUILD_NUMBER": "5",
    "BUILD_TAG": "jenkins-functest-pod1-5",
    "BUILD_URL": "https://ci.example/job/functest-pod1/5/",
    "NODE_NAME": "agent-7",
    "GIT_COMMIT": "c0ffee",
    "GIT_AUTHOR_EMAIL": "some-person@example.org",
    "CHANGE_AUTHOR": "some-person",
    "BUILD_USER": "Some Person",
}


@pytest.mark.parametrize(
    ("environ", "group", "url", "some"),
    [
        (
            GITHUB,
            "99-2",
            "https://github.com/some-person/vnf/actions/runs/99",
            {
                "cicd.pipeline.name": "nightly",
                "cicd.pipeline.task.name": "functest",
                "vcs.repository.name": "vnf",
            },
        ),
        (
            GITLAB,
            "7",
            "https://gitlab.example/nfv/vnf/-/pipelines/7",
            {"cicd.pipeline.task.run.id": "70", "vcs.ref.head.revision": "c0ffee"},
        ),
        (
            JENKINS,
            "jenkins-functest-pod1-5",
            "https://ci.example/job/functest-pod1/5/",
            {"cicd.pipeline.run.id": "5", "cicd.worker.name": "agent-7"},
        ),
    ],
    ids=["github", "gitlab", "jenkins"],
)
def test_a_job_is_told_under_the_names_of_opentelemetry(environ, group, url, some):
    context = ci_context({**environ, "TRACEPARENT": f"00-{TRACE}-b7ad6b7169203331-01"})
    assert (context.group, context.url) == (group, url)
    assert some.items() <= context.tags.items()
    assert context.tags["trace_id"] == TRACE
    assert context.tags["cicd.pipeline.run.url.full"] == url
    assert {name.split(".")[0] for name in context.tags} <= {"cicd", "vcs", "trace_id"}
    told = repr({name: value for name, value in context.tags.items() if "url" not in name}).lower()
    assert "person" not in told
    assert "secret" not in repr(context)
    assert "@" not in repr(context)


@pytest.mark.parametrize(
    "environ", [{}, {"TRACEPARENT": "nonsense"}, {"GITHUB_ACTIONS": "false"}, {"CI": "true"}]
)
def test_outside_of_a_known_system_nothing_is_told(environ):
    context = ci_context({**environ, "USER": "some-person", "EMAIL": "a@b.c"})
    assert (context.group, context.url, dict(context.tags)) == (None, None, {})


def test_a_job_with_next_to_nothing_set_or_something_broken_is_no_error():
    for environ in (
        {"GITHUB_ACTIONS": "true"},
        {"GITLAB_CI": "true", "CI_PIPELINE_URL": "https://[broken", "CI_JOB_URL": "javascript:alert(1)"},
        {"JENKINS_URL": "x", "BUILD_URL": "no url"},
    ):
        assert ci_context(environ).url is None


def test_the_context_stands_with_the_run_alone_and_the_users_tags_win(annotator, energy_step):
    environ = {**GITHUB, "ENERGY_URL": annotator.url, "ENERGY_ENV": "pod1"}
    del environ["GITHUB_TOKEN"]
    energy_step("start", "functest", "--step", "boot", "--tag", "cicd.worker.name=mine", env=environ)
    root, step = annotator.events
    assert (root["group"], root["tags"]["cicd.worker.name"], root["tags"]["vcs.ref.head.name"]) == (
        "99-2",
        "mine",
        "main",
    )
    assert root["url"].endswith("/runs/99")
    assert not {"group", "url", "tags"} & set(step)


def test_the_sdk_and_run_tell_it_too_and_traceparent_reaches_the_command(annotator, energy_step, python):
    traceparent = f"00-{TRACE}-b7ad6b7169203331-01"
    environ = {**JENKINS, "ENERGY_URL": annotator.url, "ENERGY_ENV": "pod1", "TRACEPARENT": traceparent}
    done = energy_step("run", "--", "sh", "-c", "echo $TRACEPARENT", env=environ)
    assert done.stdout == f"{traceparent}\n"
    code = "import os; os.environ.update({!r}); from energyrecorder import set_step\nwith set_step('s'): pass"
    assert python(code.format(environ)).returncode == 0
    starts = [event for event in annotator.events if event["op"] == "start"]
    assert [event["group"] for event in starts] == ["jenkins-functest-pod1-5"] * 2
    assert {event["tags"]["trace_id"] for event in starts} == {TRACE}


@pytest.mark.parametrize(("known", "warned"), [({}, True), ({"ENERGY_ENV": "pod1"}, False)])
def test_jenkins_node_name_is_the_agents_and_that_is_told(annotator, energy_step, known, warned):
    done = energy_step("start", "s", env={**JENKINS, **known, "ENERGY_URL": annotator.url})
    assert ("names the agent" in done.stderr) is warned
    assert annotator.events[0]["env"] == ("agent-7" if warned else "pod1")


def test_the_originals_node_name_outside_of_jenkins_is_no_warning(annotator, energy_step):
    done = energy_step("start", "s", env={"NODE_NAME": "pod1", "ENERGY_URL": annotator.url})
    assert (done.returncode, done.stderr) == (0, "")
