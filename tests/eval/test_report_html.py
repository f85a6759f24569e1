"""Reports in HTML."""

import re

from eval.report_html import Line, badge, bar_chart, conversation, figures, fold, page, section, table

HOSTILE = "<script>alert('x')</script> & \"quoted\""


def test_a_report_escapes_every_text_and_names_no_address() -> None:
    talk = conversation([[Line("customer", HOSTILE, name=HOSTILE, notes=(HOSTILE,))]])
    parts = [
        section(HOSTILE, table([HOSTILE], [[HOSTILE, 3]]), figures({HOSTILE: HOSTILE}), note=HOSTILE),
        fold(HOSTILE, talk, badge(HOSTILE, "bad")),
        bar_chart(HOSTILE, {HOSTILE: 2.0}),
    ]
    html = page(HOSTILE, HOSTILE, parts, HOSTILE)
    assert "<script" not in html
    assert "<section><h2>&lt;script&gt;" in html
    assert not re.search(r"(?:src|href)=|https?://|url\(", html)


def test_a_bar_is_as_long_as_its_share_of_the_longest() -> None:
    def widths(svg: str) -> list[float]:
        return [float(found) for found in re.findall(r'width="([\d.]+)" height="18"', svg)]

    half, whole = widths(bar_chart("t", {"a": 1, "b": 2}))
    assert half * 2 == whole
    first, second, alone = widths(bar_chart("t", {"a": {"right": 1, "wrong": 1}, "b": {"right": 2, "wrong": 0}}))
    assert first == second
    assert first + second == alone


def test_a_chart_without_bars_is_drawn() -> None:
    assert "<svg" in bar_chart("nothing", {}) + bar_chart("zero", {"a": 0})
