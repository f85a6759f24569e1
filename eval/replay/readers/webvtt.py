"""WebVTT subtitles with a voice a cue: `<v Customer>…`. Source: W3C, WebVTT, candidate recommendation of 2019-04-04."""

import re
from collections.abc import Iterator

from eval.replay.call import Problem
from eval.replay.readers.cues import blocks_of, cues
from eval.replay.readers.source import Said, Source


def recognises(source: Source) -> bool:
    return bool(re.match(r"WEBVTT(?:[ \t\n]|$)", source.text))


def read(source: Source) -> Iterator[Said | Problem]:
    blocks = blocks_of(source.text)[1:]
    yield from cues([block for block in blocks if not re.match(r"(?:NOTE|STYLE|REGION)(?:\s|$)", block[1][0])])
