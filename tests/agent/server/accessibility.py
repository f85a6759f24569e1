"""What axe finds wrong with a page for people who use it otherwise than with eyes and a mouse."""

from typing import Any

import pytest

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def check_axe(page: Any) -> None:
    """Fail where axe finds a violation of WCAG 2.2 AA or of its own best practice. The page's context bypasses the CSP."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python").Axe()
    found = axe.run(page, options={"runOnly": TAGS}).response["violations"]
    assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found] == []
