"""The report opens offline in a real browser, without a word in its console, and answers the pointer."""

import pytest

from energyrecorder_analysis.report.html import render_html
from energyrecorder_analysis.report.model import ReportMark
from energyrecorder_analysis.report.wire import report_from_answers

SECOND_NS = 1_000_000_000
T0_NS = 1_772_366_400 * SECOND_NS
NAME = "</script><script>window.hacked = 1</script>"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    def step(name, depth, start_s, end_s):
        return {
            "step_id": name,
            "run_id": "functest",
            "env": "pod1",
            "scenario": "functest",
            "step": name if depth else None,
            "state": "passed",
            "depth": depth,
            "started_ns": T0_NS + start_s * SECOND_NS,
            "ended_ns": T0_NS + end_s * SECOND_NS,
            "result": {
                "energy_j": 3600.0,
                "u95_j": 36.0,
                "avg_w": 120.0,
                "quality": "resolved",
                "servers": 2,
                "per_server": {
                    server: {"energy_j": 1800.0, "u95_j": 20.0, "quality": "resolved"}
                    for server in ("a", "b")
                },
            },
        }

    body = {"run": step("functest", 0, 0, 60), "steps": [step(NAME, 1, 0, 30), step("calm", 1, 30, 60)]}
    power = {
        server: [(T0_NS + k * SECOND_NS, 100.0 + k, 90.0 + k, 110.0 + k) for k in range(60)]
        for server in ("a", "b")
    }
    marks = [ReportMark(T0_NS + 20 * SECOND_NS, "a off", "power")]
    path = tmp_path_factory.mktemp("report") / "report.html"
    report = report_from_answers([body], power, title=NAME, generated_ns=T0_NS, marks=marks)
    path.write_text(render_html(report), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_offline_and_answers_the_pointer(browser, page_file, scheme):
    context = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(page_file.as_uri())
    box = page.locator("svg.figure").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5)
    tip = page.locator(".tip")
    assert tip.is_visible()
    assert "total" in tip.inner_text()
    assert NAME[:20] in tip.inner_text()
    page.mouse.move(5, 5)
    assert not tip.is_visible()
    page.get_by_role("button", name="a", exact=True).click()
    assert page.locator(".trace.off").count() == 1
    page.locator("summary").first.click()
    assert page.get_by_text("0.5000 ± 0.0056 Wh").first.is_visible()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(244, 245, 247)", "dark": "rgb(17, 18, 23)"}[scheme]
    assert page.evaluate("window.hacked") is None
    assert page.title().startswith("</script>")
    assert said == []
    context.close()


def test_a_narrow_screen_shows_every_energy_without_scrolling_aside(browser, page_file):
    """Name and energy of a step stand first, the rest below; each with what it is."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    tables = page.locator(".scroll")
    assert tables.evaluate("table => table.scrollWidth <= table.clientWidth")
    rows = page.locator("tr:has(> td[data-head=Energy])")
    assert rows.count() == 3
    for row in rows.all():
        cells = row.locator("td[data-head]")
        heads = [cell.get_attribute("data-head") for cell in cells.all()]
        boxes = dict(zip(heads, (cell.bounding_box() for cell in cells.all()), strict=True))
        assert sorted(heads, key=lambda head: boxes[head]["y"])[:2] == ["Step", "Energy"]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes.values())
    page.close()


@pytest.mark.parametrize("width", [880, 920, 1000, 1280])
def test_no_width_hides_the_quality_behind_a_scroll_bar(browser, page_file, width):
    """A figure without it says more than was measured; paper is 800 px wide and cannot be scrolled."""
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto(page_file.as_uri())
    assert page.locator(".scroll").evaluate("table => table.scrollWidth <= table.clientWidth")
    page.close()


def test_names_of_the_picture_are_told_to_assistive_technology(browser, page_file):
    page = browser.new_page()
    page.goto(page_file.as_uri())
    assert "Power over time during functest" in page.get_by_role("img").first.evaluate(
        "image => image.querySelector('title').textContent"
    )
    assert page.locator("th[scope=col]").count() > 0
    assert page.evaluate("document.documentElement.lang") == "en"
    page.close()
