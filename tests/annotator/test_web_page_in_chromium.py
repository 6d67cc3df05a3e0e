"""The web page in a real browser, without a script: nothing runs over on a phone, and the filter works."""

import time

import pytest

from support.annotator import begin, running

LONG = "a_name_without_a_break_" * 5
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def annotator(tmp_path_factory):
    with running(tmp_path_factory.mktemp("annotator")) as one:
        client = one.client()
        now_ns = time.time_ns()
        lines = [
            f"server_power,env=pod{pod},server=rack-7-node-{node}.example,scope=server "
            f"watts=1234.5,window_s=0 {now_ns - n * 10**10}"
            for pod in (1, 2)
            for node in range(3)
            for n in range(100)
        ]
        assert client.ask("POST", "/v1/samples", "\n".join(lines).encode())[0] == 200
        run_id, _ = begin(client, "pod1", scenario=LONG, title=LONG)
        begin(client, "pod1", scenario=LONG, step=LONG, parent_id=run_id)
        begin(client, "pod2", scenario="short")
        one.until(lambda: len(client.get("/v1/power")["series"]) == 6)
        yield one


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_runs_over_and_all_is_there_without_a_script(browser, annotator, viewport, scheme):
    context = browser.new_context(viewport=viewport, color_scheme=scheme, java_script_enabled=False)
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"http://127.0.0.1:{annotator.port}/")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    runs = page.locator("section", has_text="Runs").locator("tbody tr")
    assert runs.count() == 2
    for cell in runs.first.locator("td").all():
        box = cell.bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= viewport["width"]
    assert page.locator("svg.curve").first.is_visible()
    assert page.get_by_text("3,704 W · 3 servers").count() == 2
    assert said == []
    context.close()


def test_the_filter_and_the_links_work(browser, annotator):
    context = browser.new_context(viewport=DESK, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{annotator.port}/")
    page.get_by_label("scenario").fill("short")
    page.get_by_role("button", name="show").click()
    page.get_by_role("link", name="short").click()
    assert page.title() == "short"
    page.goto(f"http://127.0.0.1:{annotator.port}/")
    page.get_by_role("link", name="pod2").first.click()
    assert page.locator("section tbody tr").count() == 1
    assert page.get_by_label("environment").input_value() == "pod2"
    context.close()
