"""Blocks of subtitles, which WebVTT and SubRip share: a line with times, lines of text, speakers named in `<v Name>` or as "Name: "."""

import html
import re
from collections.abc import Iterator

from eval.replay.call import Problem
from eval.replay.readers.source import Said, milliseconds

TIMES = re.compile(r"^\s*((?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3})\s*-->\s*((?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3})")
NAMED = re.compile(r"^\s*[-–]?\s*([^\W\d_][\w .'’()-]{0,30}?)\s*[:：]\s*(?=\S)")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_TAG = re.compile(r"<[^<>]{0,200}>")


def cues(blocks: list[tuple[int, list[str]]]) -> Iterator[Said | Problem]:
    """What the blocks say; each is its first line's number and its lines."""
    for number, lines in blocks:
        at = next((i for i, line in enumerate(lines) if "-->" in line), None)
        if at is None:
            yield Problem(place=f"line {number}", what=f"no time: {lines[0][:60]!r}")
            continue
        times, place = TIMES.match(lines[at]), f"line {number + at}"
        start, end = (milliseconds(times[1]), milliseconds(times[2])) if times else (None, None)
        if start is None or end is None or end < start:
            yield Problem(place=place, what=f"no time from which and to which: {lines[at][:60]!r}")
            continue
        for label, text in _voices("\n".join(lines[at + 1 :])):
            yield Said(label, text, place, start, end)


def _voices(text: str) -> Iterator[tuple[str, str]]:
    """(speaker, words) of one block."""
    before, *named = _VOICE.split(text)
    parts = [("", before), *zip(named[::2], named[1::2], strict=True)]
    for label, words in parts:
        plain = html.unescape(_TAG.sub("", words))
        lines: list[tuple[str, str]] = []
        for line in plain.split("\n"):
            name = NAMED.match(line) if not label else None
            if name or not lines:
                lines.append((name[1] if name else label.strip(), line[name.end() :] if name else line))
            else:
                lines[-1] = (lines[-1][0], f"{lines[-1][1]} {line}")
        yield from ((name, said.strip()) for name, said in lines if said.strip())


def blocks_of(text: str) -> list[tuple[int, list[str]]]:
    """The text's parts between empty lines, each with the number of its first line."""
    blocks: list[tuple[int, list[str]]] = []
    fresh = True
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            fresh = True
        elif fresh:
            blocks.append((number, [line]))
            fresh = False
        else:
            blocks[-1][1].append(line)
    return blocks
