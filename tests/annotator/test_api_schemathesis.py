"""Whatever the served OpenAPI documents allow, and much that they do not, is answered without a 5xx."""

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck

from support.annotator import running

EXAMPLES = 8


@pytest.fixture(scope="module")
def annotator(tmp_path_factory):
    with running(tmp_path_factory.mktemp("annotator")) as one:
        yield one


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("document", "prefix"), [("/openapi.json", ""), ("/resources/swagger.json", "/resources")]
)
def test_no_request_makes_it_fail(annotator, document, prefix):
    client = annotator.client()
    schema = schemathesis.openapi.from_dict(client.get(document))
    base_url = f"http://127.0.0.1:{annotator.port}{prefix}"
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case):
            answer = case.call(base_url=base_url, timeout=60)
            assert answer.status_code < 500, (case.method, case.path, case.body, answer.content)

        ask()
        asked.add((operation.method.upper(), operation.path))
    assert len(asked) >= 7
    assert annotator.client().get("/healthz")["status"] == "ok"
    assert not [line for line in annotator.log if line.startswith("E! ")]
