"""What a CI system says of the job that we run in, as OpenTelemetry names it.

An allow-list: nothing else of the environment is sent, and never who started the job. Names are those of the
OpenTelemetry semantic conventions, attributes ``cicd.*`` and ``vcs.*``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Sequence
from urllib.parse import urlsplit

_LONGEST = 500
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
"""W3C Trace Context, section 3.2: version, trace id, parent id, flags."""

_GITHUB = {
    "cicd.pipeline.name": "GITHUB_WORKFLOW",
    "cicd.pipeline.run.id": "GITHUB_RUN_ID",
    "cicd.pipeline.task.name": "GITHUB_JOB",
    "cicd.worker.name": "RUNNER_NAME",
    "vcs.ref.head.name": "GITHUB_REF_NAME",
    "vcs.ref.head.revision": "GITHUB_SHA",
}
_GITLAB = {
    "cicd.pipeline.name": "CI_PROJECT_PATH",
    "cicd.pipeline.run.id": "CI_PIPELINE_ID",
    "cicd.pipeline.task.name": "CI_JOB_NAME",
    "cicd.pipeline.task.run.id": "CI_JOB_ID",
    "cicd.pipeline.task.run.url.full": "CI_JOB_URL",
    "cicd.worker.id": "CI_RUNNER_ID",
    "vcs.ref.head.name": "CI_COMMIT_REF_NAME",
    "vcs.ref.head.revision": "CI_COMMIT_SHA",
}
_JENKINS = {
    "cicd.pipeline.name": "JOB_NAME",
    "cicd.pipeline.run.id": "BUILD_NUMBER",
    "cicd.pipeline.task.name": "STAGE_NAME",
    "cicd.worker.name": "NODE_NAME",
    "vcs.ref.head.name": "GIT_BRANCH",
    "vcs.ref.head.revision": "GIT_COMMIT",
}


@dataclass(frozen=True)
class CiContext:
    """What is stored with a run.

    Args:
        group: The run or build of the CI system; None outside of one.
        url: Where a person sees it; None if the system does not tell.
        tags: Attribute names and values.
    """

    group: Optional[str] = None
    url: Optional[str] = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def added_to(self, start: Dict[str, Any]) -> Dict[str, Any]:
        """Return the start of a run with this context; what the user gave stands."""
        more: Dict[str, Any] = {"group": self.group, "url": self.url}
        found = {key: value for key, value in more.items() if value and key not in start}
        tags = {**self.tags, **start.get("tags", {})}
        return {**start, **found, **({"tags": tags} if tags else {})}


def is_jenkins(environ: Mapping[str, str]) -> bool:
    """Tell whether this is a Jenkins build."""
    return bool(environ.get("JENKINS_URL") or (environ.get("BUILD_TAG") and environ.get("EXECUTOR_NUMBER")))


def ci_context(environ: Mapping[str, str]) -> CiContext:
    """Return what the variables say of the CI job; an empty context outside of one."""
    trace = _TRACEPARENT.fullmatch(environ.get("TRACEPARENT", ""))
    more = {"trace_id": trace[1]} if trace else {}
    if environ.get("GITHUB_ACTIONS") == "true":
        return _github(environ, more)
    if environ.get("GITLAB_CI") == "true":
        return _context(environ, _GITLAB, more, ("CI_PIPELINE_ID",), environ.get("CI_PIPELINE_URL"))
    if is_jenkins(environ):
        return _context(environ, _JENKINS, more, ("BUILD_TAG",), environ.get("BUILD_URL"))
    return CiContext(tags=more)


def _github(environ: Mapping[str, str], more: Dict[str, str]) -> CiContext:
    repository = environ.get("GITHUB_REPOSITORY", "")
    parts = [
        environ.get("GITHUB_SERVER_URL", ""),
        repository,
        "actions/runs",
        environ.get("GITHUB_RUN_ID", ""),
    ]
    if repository:
        # Without its owner, who may be a person.
        more = {**more, "vcs.repository.name": repository.rpartition("/")[2]}
    return _context(
        environ,
        _GITHUB,
        more,
        ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"),
        "/".join(parts) if all(parts) else None,
    )


def _context(
    environ: Mapping[str, str],
    names: Mapping[str, str],
    more: Dict[str, str],
    group_names: Sequence[str],
    url: Optional[str],
) -> CiContext:
    tags = {name: environ[source][:_LONGEST] for name, source in names.items() if environ.get(source)}
    for name in [name for name in tags if name.endswith("url.full")]:
        tags[name] = _without_user(tags[name]) or ""
    safe_url = _without_user(url)
    if safe_url:
        tags["cicd.pipeline.run.url.full"] = safe_url
    group = "-".join(environ[name] for name in group_names if environ.get(name))
    return CiContext(group[:_LONGEST] or None, safe_url, {**tags, **more})


def _without_user(url: Optional[str]) -> Optional[str]:
    """Return a web address without credentials; None if it is not one."""
    try:
        parts = urlsplit(url or "")
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    return parts._replace(netloc=host).geturl()[:_LONGEST]
