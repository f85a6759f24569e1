"""Whisper's own JSON: segments with start, end and text; a speaker a segment where WhisperX told them apart.

Source: openai/whisper, whisper/transcribe.py and utils.py (WriteJSON). Without speakers, a CSV of turns beside the file tells who speaks.
"""

import math
from collections.abc import Iterator
from typing import Any

from eval.replay.call import Problem
from eval.replay.readers.source import Said, Source, as_number, milliseconds
from tools.shop.types import Language

_SILENCE = 0.8
"""From this probability of there being no speech, a segment that Whisper is unsure of is taken for invented."""
_UNSURE_LOGPROB = -1.0


def recognises(source: Source) -> bool:
    segments = source.object.get("segments")
    return isinstance(segments, list) and all(isinstance(each, dict) and "start" in each for each in segments[:3])


def read(source: Source) -> Iterator[Said | Problem]:
    code = source.object.get("language")
    language: Language | None = "en" if code == "en" else "zh" if code == "zh" else None
    for number, each in enumerate(source.object["segments"], start=1):
        place = f"segment {number}"
        problem = _problem(each)
        if problem:
            yield Problem(place=place, what=problem)
            continue
        logprob = as_number(each.get("avg_logprob"))
        yield Said(
            str(each.get("speaker") or ""),
            each["text"],
            place,
            milliseconds(each["start"]),
            milliseconds(each["end"]),
            confidence=math.exp(min(logprob, 0)) if logprob is not None else None,
            language=language,
        )


def _problem(segment: Any) -> str | None:
    if not isinstance(segment, dict) or not isinstance(segment.get("text"), str):
        return "no text"
    start, end = milliseconds(segment.get("start")), milliseconds(segment.get("end"))
    if start is None or end is None or end < start:
        return f"no time from {segment.get('start')!r} to {segment.get('end')!r}"
    silence, logprob = as_number(segment.get("no_speech_prob")), as_number(segment.get("avg_logprob"))
    if silence is not None and logprob is not None and silence > _SILENCE and logprob < _UNSURE_LOGPROB:
        return f"written into silence: {segment['text'].strip()[:60]!r}"
    return None
