"""Make docs/images/demo.png, the README's picture, from the last demo's report."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent

if __name__ == "__main__":
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1350})
        page.goto((ROOT / "build" / "demo" / "report.html").as_uri())
        page.screenshot(path=str(ROOT / "docs" / "images" / "demo.png"))
        browser.close()
