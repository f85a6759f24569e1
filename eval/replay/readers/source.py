"""What a reader is given and what it answers."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from eval.replay.call import UnreadableCall
from tools.shop.types import Language

if TYPE_CHECKING:
    from tools.transcribe_speech import Transcriber

ABOUT = ".call.yaml"
"""NAME.call.yaml stands beside a call and tells what its file does not."""
MAX_TEXT_MEGABYTES = 20
HEAD_BYTES = 4096
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,3}))?")


class Said(NamedTuple):
    """One thing said, as its file has it: `label` is the speaker's name there, "" where there is none; `place` where it stands."""

    label: str
    text: str
    place: str
    start_ms: int | None = None
    end_ms: int | None = None
    channel: int | None = None
    confidence: float | None = None
    language: Language | None = None
    redacted: bool = False


class Turn(NamedTuple):
    """Who speaks from when to when."""

    label: str
    start_ms: int
    end_ms: int
    row: dict[str, str]
    place: str


@dataclass(frozen=True)
class Source:
    """A file, read as far as a reader asks for it."""

    path: Path
    transcriber: "Callable[[], Transcriber]"

    @cached_property
    def head(self) -> bytes:
        """Its first bytes."""
        try:
            with self.path.open("rb") as file:
                return file.read(HEAD_BYTES)
        except OSError as error:
            raise UnreadableCall(f"'{self.path}' cannot be read: {error}; check the file.") from error

    @cached_property
    def text(self) -> str:
        """Its text, "" where it is none: UTF-8, UTF-16 with its mark, or GB 18030. Line ends are \\n."""
        if b"\0" in self.head and self.head[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            return ""
        if self.path.stat().st_size > MAX_TEXT_MEGABYTES * 1_000_000:
            raise UnreadableCall(f"'{self.path}' is larger than {MAX_TEXT_MEGABYTES} MB; cut it into one file a call.")
        data = self.path.read_bytes()
        for encoding in ("utf-16",) if self.head[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030"):
            try:
                return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
            except UnicodeDecodeError:
                continue
        return ""

    @cached_property
    def json(self) -> Any:
        """Its JSON, None where it is none."""
        if not self.text.lstrip().startswith(("{", "[")):
            return None
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def object(self) -> dict[str, Any]:
        """Its JSON object, empty where it is none."""
        return self.json if isinstance(self.json, dict) else {}

    def turns(self) -> list[Turn]:
        """Who speaks when, by the CSV of the same name beside this file; empty where there is none."""
        beside = self.path.with_suffix(".csv")
        if not beside.is_file() or beside == self.path:
            return []
        rows = table_rows(Source(beside, self.transcriber).text)
        return [turn for place, row in rows if isinstance(turn := turn_of(row, f"'{beside.name}' {place}"), Turn)]


_COLUMNS = {
    "speaker": "speaker|speaker_label|role|participant|party|who|说话人|角色",
    "start": "start|start_s|start_ms|start_time|begin|from|onset|开始",
    "end": "end|end_s|end_ms|end_time|stop|to|结束",
    "text": "text|transcript|content|utterance|message|sentence|内容|文本",
    "confidence": "confidence|conf|score",
    "channel": "channel",
}


def table_rows(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a table with a header, each with its place; keys are our names for its columns, "unit" is "ms" where it says so."""
    lines = text.split("\n")
    header = lines[0] if lines else ""
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        names = [name.strip().lower().replace(" ", "_") for name in next(reader)]
        columns = {key: i for key, words in _COLUMNS.items() for i, name in enumerate(names) if re.fullmatch(words, name)}
        in_ms = "start" in columns and names[columns["start"]].endswith("_ms")
        for row in reader:
            if any(cell.strip() for cell in row):
                found = {key: row[i].strip() for key, i in columns.items() if i < len(row)}
                yield f"line {reader.line_num}", {**found, "unit": "ms" if in_ms else "s"}
    except (StopIteration, csv.Error):
        return


def turn_of(row: dict[str, str], place: str) -> Turn | str:
    """A row's speaker and time, or why it has none."""
    start, end = (milliseconds(row.get(name, ""), row["unit"]) for name in ("start", "end"))
    if not row.get("speaker"):
        return "no speaker"
    if start is None or end is None or end < start:
        return f"no time from {row.get('start', '')!r} to {row.get('end', '')!r}"
    return Turn(row["speaker"], start, end, row, place)


def milliseconds(time: Any, unit: str = "s") -> int | None:
    """A time in milliseconds: seconds as a number or text, "00:01:02.500"; None where it is none or below zero."""
    if isinstance(time, str) and (clock := _CLOCK.fullmatch(time.strip())):
        hours, minutes, seconds, rest = clock.groups()
        return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int((rest or "0").ljust(3, "0"))
    number = as_number(time)
    return round(number * (1 if unit == "ms" else 1000)) if number is not None and 0 <= number < 1e9 else None


def as_number(value: Any) -> float | None:
    """A finite number, from one or from text; None where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < float("inf") else None


def share(value: Any) -> float | None:
    """A confidence between 0 and 1, None where it is none."""
    number = as_number(value)
    return number if number is not None and 0 <= number <= 1 else None


def mean(values: list[float | None]) -> float | None:
    """The mean of those that are there."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


class _NoAliases(yaml.SafeLoader):
    """A few lines of YAML with references to references would become more than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("references (*name) are not read")
        return super().compose_node(parent, index)


def read_yaml(text: str) -> Any:
    """YAML's plain data, without references. Raises yaml.YAMLError."""
    try:
        return yaml.load(text, _NoAliases)  # a SafeLoader
    except RecursionError as error:
        raise yaml.YAMLError("nested too deeply") from error
