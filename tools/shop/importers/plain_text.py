"""Turns the HTML of descriptions and help pages into plain text; scripts, styles and frames are dropped.

Text that gives orders to whoever reads it stays what it is: text.
Source of what a browser shows: html.spec.whatwg.org; parsed by selectolax (Lexbor).
"""

import html
import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

_TAG = re.compile(r"<(?:!--|/?[a-zA-Z])")
_UNSEEN = "script, style, template, noscript, iframe, object, svg, head"
_BLOCKS = (
    "br, p, div, li, tr, dt, dd, h1, h2, h3, h4, h5, h6, section, article, blockquote, pre, ul, ol, table, summary, figcaption"
)
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CHINESE_SHARE = 0.2
"""From this share of a text's letters on, Chinese characters make it Chinese: "Nike Air Max 2026 跑鞋" is, a stray 福 is not."""


def plain_text(text: str) -> str:
    """What a reader sees of some HTML, a line for each block; text without tags only loses its entities."""
    if not _TAG.search(text):
        return _tidy(html.unescape(text).splitlines())
    tree = LexborHTMLParser(text)
    return seen_text(tree.body) if tree.body else ""


def seen_text(node: LexborNode) -> str:
    """What a reader sees of a node; the tree is changed by it."""
    for unseen in node.css(_UNSEEN):
        unseen.decompose()
    # A line's end in the source is a space to the reader, a block's end is a new line.
    marked = LexborHTMLParser(re.sub(r"\s+", " ", node.html or ""))
    if not marked.body:
        return ""
    for block in marked.body.css(_BLOCKS):
        block.insert_before("\n")
        block.insert_after("\n")
    for cell in marked.body.css("td, th"):
        cell.insert_after(" | ")
    return _tidy(marked.body.text().splitlines())


def local(text: str) -> dict[str, str]:
    """A text as LocalText has it: under "zh" if enough of its letters are Chinese, else under "en"."""
    letters = sum(character.isalpha() for character in text)
    return {"zh": text} if letters and len(_HAN.findall(text)) >= _CHINESE_SHARE * letters else {"en": text}


def _tidy(lines: list[str]) -> str:
    tidied = (" ".join(_CONTROL.sub(" ", line).split()).strip("|").strip() for line in lines)
    return "\n".join(line for line in tidied if line)
