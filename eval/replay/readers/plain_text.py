"""A conversation written down line by line: "Customer: …", 「客户：…」, with or without a time before it ("[00:01:02]")."""

import re
from collections.abc import Iterator

from pydantic import ValidationError

from eval.replay.call import About, Problem
from eval.replay.readers.source import Said, Source, milliseconds

_LINE = re.compile(
    r"^\s*(?:[\[(]?((?:\d{1,3}:)?\d{1,2}:\d{2}(?:[.,]\d{1,3})?)[\])]?\s*[-–]?\s*)?([^\W\d_][\w .'’()#-]{0,30}?)\s*[:：]\s*(.+)$"
)
_ABOUT = re.compile(r"^#\s*(at|customer)\s*[:：]\s*(\S.*?)\s*$")


def recognises(source: Source) -> bool:
    lines = [line for line in source.text.split("\n") if line.strip() and not line.startswith("#")]
    named = [found[2] for line in lines[:200] if (found := _LINE.match(line))]
    # Two speakers who come back; a letter has colons too.
    return len(named) >= 2 and 2 * len(named) >= len(lines[:200]) and len(set(named)) < max(3, len(named))


def read(source: Source) -> Iterator[Said | Problem | About]:
    """Lines without a speaker go on with what was said before; `# at: …` and `# customer: …` may stand at the top."""
    last: Said | None = None
    for number, line in enumerate(source.text.split("\n"), start=1):
        place = f"line {number}"
        if about := _ABOUT.match(line):
            try:
                yield About.model_validate({about[1]: about[2]})
            except ValidationError as error:
                yield Problem(place=place, what=f"{about[2]!r}: {error.errors()[0]['msg']}")
        elif found := _LINE.match(line):
            if last:
                yield last
            time = milliseconds(found[1]) if found[1] else None
            last = Said(found[2], found[3], place, start_ms=time, end_ms=time)
        elif line.strip() and not line.startswith("#"):
            if last:
                last = last._replace(text=f"{last.text} {line.strip()}")
            else:
                yield Problem(place=place, what=f"nobody is named before: {line.strip()[:60]!r}")
    if last:
        yield last
