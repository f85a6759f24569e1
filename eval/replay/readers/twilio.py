"""Twilio Conversational (Voice) Intelligence: a transcript's sentences as its API returns them, alone or with the transcript resource.

Source: Twilio, "Transcript Sentence Subresource" and "Transcript Resource" (intelligence v2); keys in snake_case or camelCase.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from eval.replay.call import About, Problem
from eval.replay.readers.source import Said, Source, as_number, milliseconds, share


def recognises(source: Source) -> bool:
    return any(isinstance(each, dict) and "media_channel" in _snake(each) for each in _sentences(source)[:3])


def read(source: Source) -> Iterator[Said | Problem | About]:
    whole = _snake(source.object)
    resource = _snake(whole["transcript"]) if isinstance(whole.get("transcript"), dict) else whole
    try:
        began = datetime.fromisoformat(str(resource.get("media_start_time")))
        yield About(at=began)
    except ValueError:
        pass  # an upload has no such time
    roles = _roles(resource)
    for number, each in enumerate(_sentences(source), start=1):
        place = f"sentence {number}"
        sentence = _snake(each) if isinstance(each, dict) else {}
        text, channel = sentence.get("transcript"), as_number(sentence.get("media_channel"))
        if not isinstance(text, str) or not text.strip() or channel is None:
            yield Problem(place=place, what="no text" if channel is not None else "no channel")
            continue
        yield Said(
            roles.get(int(channel), f"channel {int(channel)}"),
            text,
            place,
            start_ms=milliseconds(sentence.get("start_time")),
            end_ms=milliseconds(sentence.get("end_time")),
            channel=max(int(channel) - 1, 0),  # theirs count from 1
            confidence=share(sentence.get("confidence")),
        )


def _sentences(source: Source) -> list[Any]:
    sentences = source.json if isinstance(source.json, list) else _snake(source.object).get("sentences")
    return sentences if isinstance(sentences, list) else []


def _roles(resource: dict[str, Any]) -> dict[int, str]:
    channel = resource.get("channel")
    participants = _snake(channel).get("participants") if isinstance(channel, dict) else None
    named = [_snake(each) for each in participants or () if isinstance(each, dict)]
    return {
        int(number): str(each["role"])
        for each in named
        if each.get("role") and (number := as_number(each.get("channel_participant"))) is not None
    }


def _snake(given: dict[str, Any]) -> dict[str, Any]:
    return {re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", key): value for key, value in given.items()}
