"""Reads help texts beside a shop of any format: each answer or rule becomes one clause.

Files in faq/ become FAQ clauses, files in policies/ become policy clauses:

| file | clauses |
|---|---|
| .md, .html | one for each heading (or summary, or dt) with text below it; the titles of the headings above it come first |
| .csv | one a row: question, answer; and, where there are such columns, id, language (en or zh), topic |
| .json | one for each article and heading in it: Zendesk's `GET /api/v2/help_center/articles.json`, drafts left out |

Ids stay when a text is edited and imported again: a CSV row's id column, an article's id, `{#my-id}` at a heading's end or the id
of an HTML heading, each after the file's name; without one, the words of the question or heading. Two texts with one id, one English
and one Chinese, are one clause: returns.en.md and returns.zh.md with the same `{#…}`, two rows, or an article in two locales.

Source: developer.zendesk.com/api-reference/help_center/help-center-api/articles.
"""

import hashlib
import html
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser, LexborNode

from tools.shop.importers.plain_text import local, plain_text, seen_text
from tools.shop.importers.source import Entry, Located, Note, Rejected, check
from tools.shop.importers.tables import Row, read_tables
from tools.shop.types import Clause

FOLDERS: dict[str, Literal["faq", "policy"]] = {"faq": "faq", "policies": "policy"}
MAX_FILE_BYTES = 20_000_000
_TOPICS = (
    ("exchange|换货", "exchanges"),
    ("return|退货|退换", "returns"),
    ("refund|退款", "refunds"),
    ("cancel|取消", "cancellations"),
    ("ship|deliver|postage|track|运费|快递|发货|配送|物流", "shipping"),
    ("pay|invoice|支付|付款|发票", "payment"),
    ("size|sizing|尺码|尺寸", "sizes"),
    ("warrant|guarantee|保修|质保", "warranty"),
    ("privacy|data|隐私", "privacy"),
    ("account|password|账号|密码", "account"),
)
"""The first one that a title has a word of; what has none is of the topic "general"."""
_HEADINGS = "h1, h2, h3, h4, h5, h6, summary, dt"
_OWN_ID = re.compile(r"\s*\{#([^\s{}]+)\}\s*$")
_PAGE_NAME = 1
"""A page's heading of this level is its name and no part of the titles below it."""


@dataclass(frozen=True)
class _Text:
    """One language's text of a clause."""

    where: str
    id: str
    title: str
    text: str
    language: str | None = None
    topic: str = ""


def read(source: Path) -> Iterator[Entry]:
    """Read faq/ and policies/ in a shop's source, as far as they are there."""
    for folder, kind in FOLDERS.items():
        if (source / folder).is_dir():
            yield from _clauses(source / folder, kind)


def _clauses(folder: Path, kind: Literal["faq", "policy"]) -> Iterator[Entry]:
    texts: dict[str, list[_Text]] = {}
    for entry in _texts(folder):
        if isinstance(entry, _Text):
            texts.setdefault(entry.id, []).append(entry)
        else:
            yield entry
    for id, found in texts.items():
        titles: dict[str, str] = {}
        bodies: dict[str, str] = {}
        for one in found:
            language = one.language or next(iter(local(f"{one.title}\n{one.text}")))
            if language in bodies:
                yield Rejected(one.where, f"id '{id}' occurs twice; the first one is kept")
            else:
                titles[language], bodies[language] = one.title, one.text
        record = {
            "id": id,
            "kind": kind,
            "topic": next((one.topic for one in found if one.topic), "") or _topic(" ".join(titles.values())),
            "title": titles,
            "text": bodies,
            "questions": [title for title in titles.values() if title.endswith(("?", "？"))],
        }
        clause = check(found[0].where, Clause, record)
        yield clause if isinstance(clause, Rejected) else Located(found[0].where, clause)


def _texts(folder: Path) -> Iterator[_Text | Rejected | Note]:
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        where = f"{folder.name}/{path.name}"
        kind = path.suffix.lower()
        if kind not in (".md", ".html", ".htm", ".csv", ".json"):
            yield Note(where, "is no .md, .html, .csv or .json file: left out")
            continue
        if path.stat().st_size > MAX_FILE_BYTES:
            yield Rejected(where, f"the file is larger than {MAX_FILE_BYTES:,} bytes; split it")
            continue
        if kind == ".csv":
            continue
        try:
            content = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            yield Rejected(
                where, f"not UTF-8: byte 0x{error.object[error.start]:02x} at position {error.start + 1}; save it as UTF-8"
            )
            continue
        if kind == ".json":
            yield from _zendesk(where, content)
        else:
            name, _, language = path.stem.rpartition(".")
            name, language = (name, language) if language in ("en", "zh") else (path.stem, "")
            page = MarkdownIt().enable("table").render(content) if kind == ".md" else content
            yield from _page(where, _slug(name), page, language or None)
    if any(path.suffix.lower() == ".csv" for path in folder.iterdir()):
        yield from _table(folder)


def _table(folder: Path) -> Iterator[_Text | Rejected | Note]:
    for row in read_tables(folder, (".csv",), ("question", "answer")):
        where = f"{folder.name}/{row.where}"
        language = row["language"].lower()[:2] if isinstance(row, Row) else ""
        if isinstance(row, Rejected):
            yield Rejected(where, row.reason)
        elif isinstance(row, Note):
            yield Note(where, row.text)
        elif not row["question"] or not row["answer"]:
            yield Rejected(where, "the question or the answer is missing")
        elif language not in ("", "en", "zh"):
            yield Rejected(where, f"language '{row['language'][:20]}' is neither en nor zh")
        else:
            question = plain_text(row["question"])
            id = row["id"] or _slug(question)
            yield _Text(where, id, question, plain_text(row["answer"]), language or None, row["topic"])


def _zendesk(where: str, content: str) -> Iterator[_Text | Rejected | Note]:
    try:
        articles = json.loads(content)["articles"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        yield Rejected(where, f"is no export of Zendesk articles ({type(error).__name__}: {error})")
        return
    for number, article in enumerate(articles if isinstance(articles, list) else [], start=1):
        place = f"{where}:article {number}"
        if not isinstance(article, dict) or not article.get("id") or not article.get("title"):
            yield Rejected(place, "the article has no id or no title")
        elif article.get("draft"):
            yield Note(place, f"'{article['title']}' is a draft: left out")
        elif (language := str(article.get("locale") or "")[:2].lower()) not in ("", "en", "zh"):
            yield Note(place, f"'{article['title']}' is in '{article['locale']}', neither English nor Chinese: left out")
        else:
            page = f"<h1>{html.escape(str(article['title']))}</h1>{article.get('body') or ''}"
            yield from _page(place, f"zendesk-{article['id']}", page, language or None, article=str(article["title"]))


def _page(where: str, name: str, page: str, language: str | None, *, article: str = "") -> Iterator[_Text | Note]:
    """The sections of an HTML page, whose ids begin with `name`; of an `article` the first has that id, all bear its title."""
    root = LexborHTMLParser(page)
    body = root.body
    if not body:
        return
    for frame in body.css("nav, footer"):
        frame.decompose()
    # Headings are marked in the tree, then the page is cut at the marks: text counts to the last heading, however deep it lies.
    # No text can hold the mark: it is made up now, of a character of the private use area and chance.
    mark = f"\ue000{secrets.token_hex(8)}\ue000"
    headings: list[tuple[int, str, str]] = []
    for node in [node for node in body.css(_HEADINGS) if not _is_inside_heading(node)]:
        digit = re.fullmatch("h([1-6])", node.tag or "")
        level = int(digit[1]) if digit else 7
        heading = " ".join(plain_text(node.html or "").split())
        own = _OWN_ID.search(heading)
        headings.append((level, _OWN_ID.sub("", heading), own[1] if own else node.attributes.get("id") or ""))
        node.insert_before(f"\n{mark}\n")
        node.decompose()
    sections = re.split(f"\n?{mark}\n?", seen_text(body))
    if sections[0].strip():
        yield Note(where, f"text above the first heading is left out ({sections[0][:60]}…)")
    above: list[tuple[int, str]] = []
    used: set[str] = set()
    for place, ((level, heading, own_id), text) in enumerate(zip(headings, sections[1:], strict=True)):
        above = [*(one for one in above if one[0] < level), (level, heading)]
        if not text.strip() or not heading:
            continue
        parts = [words for one, words in above if one > _PAGE_NAME] or [heading]
        is_article = bool(article) and place == 0
        first = id = name if is_article else f"{name}-{own_id or _slug(heading)}"
        number = 1
        while id in used:
            number += 1
            id = f"{first}-{number}"
        used.add(id)
        shown = [article, *parts] if article and not is_article else parts
        yield _Text(where, id, ": ".join(shown)[:500], text.strip(), language)


def _is_inside_heading(node: LexborNode) -> bool:
    above = node.parent
    while above is not None:
        if above.tag in _HEADINGS.split(", "):
            return True
        above = above.parent
    return False


def _slug(title: str) -> str:
    """A title as the end of an id: its words, shortened and told apart by a digest if they are many."""
    words = re.sub(r"[\W_]+", "-", title.lower()).strip("-")
    digest = hashlib.sha256(title.encode()).hexdigest()[:8]
    return words if 0 < len(words) <= 50 else f"{words[:40]}-{digest}".strip("-")


def _topic(title: str) -> str:
    return next((topic for words, topic in _TOPICS if re.search(words, title.lower())), "general")
