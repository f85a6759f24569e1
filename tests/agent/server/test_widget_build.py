"""The built front ends in the repository are those of the sources beside them; told without Node."""

import gzip
import hashlib
from pathlib import Path

SERVER = Path(__file__).resolve().parents[3] / "agent" / "server"
SOURCES = ("package-lock.json", "package.json", "tsconfig.json", "vite.config.ts", "widget", "console")


def test_the_built_front_ends_were_built_from_these_sources() -> None:
    files = sorted(
        path.relative_to(SERVER).as_posix()
        for name in SOURCES
        for path in ([SERVER / name] if (SERVER / name).is_file() else (SERVER / name).rglob("*"))
        if path.is_file()
    )
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file}\0".encode() + (SERVER / file).read_bytes() + b"\0")
    built_from = (SERVER / "static" / "built-from.txt").read_text().strip()
    assert built_from == digest.hexdigest(), "the front ends' sources changed; run 'make widget' and commit agent/server/static"


def test_the_widget_is_small() -> None:
    assert len(gzip.compress((SERVER / "static" / "widget.js").read_bytes())) <= 60_000


def test_the_pages_need_no_inline_script_or_style() -> None:
    page = (SERVER / "static" / "console" / "index.html").read_text()
    assert "<style" not in page
    assert "style=" not in page
    assert page.count("<script") == page.count('<script type="module" crossorigin src="/console/console.js"')
