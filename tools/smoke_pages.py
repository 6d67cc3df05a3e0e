"""Draws every dashboard of a running Grafana with Chromium into PNG files; exits 1 at a panel's error."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PATIENCE_MS = 60_000
ERRORS = '[data-testid="data-testid Panel status error"], [aria-label="Panel status error"]'


def draw(browser: Browser, url: str, title: str, file: Path) -> str:
    """Open one dashboard, keep its picture, and return what is wrong; empty when nothing is."""
    user = base64.b64encode(f"admin:{os.environ['GRAFANA_PASSWORD']}".encode()).decode()
    page = browser.new_page(
        viewport={"width": 1600, "height": 2200}, extra_http_headers={"Authorization": f"Basic {user}"}
    )
    page.goto(url, timeout=PATIENCE_MS)
    # Not the network's rest: a dashboard that refreshes itself has none.
    page.get_by_text(title, exact=True).first.wait_for(timeout=PATIENCE_MS)
    page.wait_for_timeout(1000 * float(os.environ.get("SMOKE_SETTLE_S", "5")))
    page.screenshot(path=str(file))
    broken = page.locator(ERRORS).count()
    page.close()
    return f"{broken} panels show an error" if broken else ""


def main(grafana: str, dashboards: str, out: str) -> int:
    """Draw all of them; print a line for each."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for path in sorted(Path(dashboards).glob("*.json")):
            board = json.loads(path.read_text(encoding="utf-8"))
            panel = board["panels"][0]["title"]
            found = draw(browser, f"{grafana}/d/{path.stem}?kiosk", panel, folder / f"{path.stem}.png")
            print(f"{path.stem}: {found or f'drawn, {path.stem}.png'}")
            wrong += bool(found)
        browser.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
