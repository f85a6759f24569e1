"""SubRip subtitles: number, times, text; speakers as `<v Customer>…` or "Customer: …"."""

import re
from collections.abc import Iterator

from eval.replay.call import Problem
from eval.replay.readers.cues import TIMES, blocks_of, cues
from eval.replay.readers.source import Said, Source


def recognises(source: Source) -> bool:
    return any(TIMES.match(line) for line in source.text[:20_000].split("\n"))


def read(source: Source) -> Iterator[Said | Problem]:
    # A number is part of the block that follows, with or without an empty line between.
    yield from cues([block for block in blocks_of(source.text) if not re.fullmatch(r"\s*\d+\s*", "".join(block[1]))])
