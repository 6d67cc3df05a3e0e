"""docs/api.md and the served API say the same."""

import json
import re
from pathlib import Path

import pytest

from energyrecorder_annotator.api.docs_page import docs_page
from support.annotator import running

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api.md"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with running(tmp_path_factory.mktemp("annotator")) as annotator:
        yield annotator.client().get("/openapi.json")


def test_every_route_is_described_and_every_description_has_its_route(served):
    described = set(
        re.findall(r"^### (GET|POST|PATCH|PUT|DELETE) (\S+)$", DOCUMENT.read_text(), re.MULTILINE)
    )
    routes = {(method.upper(), path) for path, methods in served["paths"].items() for method in methods}
    assert {(method, path.replace("{env:path}", "{env}")) for method, path in routes} == described


def test_every_key_of_a_start_is_described(served):
    text = DOCUMENT.read_text()
    keys = set(served["components"]["schemas"]["StartBody"]["properties"])
    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_every_error_code_is_described():
    package = DOCUMENT.parents[1] / "step_annotator" / "energyrecorder_annotator"
    source = "\n".join(path.read_text() for path in package.rglob("*.py"))
    codes = set(re.findall(r'envelope\("(\w+)"', source)) | set(re.findall(r'code="(\w+)"', source))
    text = DOCUMENT.read_text()
    assert {code for code in codes if f"`{code}`" not in text} <= {"internal"}


def test_every_example_is_json():
    examples = re.findall(r"^```json\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert len(examples) >= 10
    for example in examples:
        json.loads(example)


def test_the_page_for_people_has_one_section_for_each_subject(served):
    headings = re.findall(r"<h2>(.*?)</h2>", docs_page(served, "openapi.json"))
    assert headings
    assert len(headings) == len(set(headings))
