"""Amazon Connect Contact Lens's analysis files, of calls and chats, and Amazon Transcribe Call Analytics's, which have the same transcript.

Source: Amazon Connect administrator guide, "Example Contact Lens output files for a call" (and for a chat); version 1.1.0.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from eval.replay.call import About, Problem
from eval.replay.readers.source import Said, Source, as_number, mean, share


def recognises(source: Source) -> bool:
    transcript = source.object.get("Transcript")
    return isinstance(transcript, list) and isinstance(source.object.get("Participants"), list)


def read(source: Source) -> Iterator[Said | Problem | About]:
    roles = {
        each["ParticipantId"]: str(each.get("ParticipantRole", ""))
        for each in source.object["Participants"]
        if isinstance(each, dict) and "ParticipantId" in each
    }
    began = _chat_began(source.object["Transcript"])
    if began:
        yield About(at=began)
    for number, each in enumerate(source.object["Transcript"], start=1):
        place = f"Transcript[{number - 1}]"
        if not isinstance(each, dict) or not isinstance(each.get("Content"), str):
            if not (isinstance(each, dict) and each.get("Type") == "EVENT"):
                yield Problem(place=place, what="no Content")
            continue
        label = str(each.get("ParticipantRole") or roles.get(each.get("ParticipantId", ""), ""))
        if not label:
            yield Problem(place=place, what=f"participant {each.get('ParticipantId')!r} is not among Participants: left out")
            continue
        start, end = as_number(each.get("BeginOffsetMillis")), as_number(each.get("EndOffsetMillis"))
        if began and (at := _time(each)):
            start = end = (at - began).total_seconds() * 1000
        yield Said(
            label,
            each["Content"],
            place,
            start_ms=round(start) if start is not None and start >= 0 else None,
            end_ms=round(end) if end is not None and end >= 0 else None,
            confidence=mean([share(item.get("Confidence")) for item in each.get("Items", ()) if isinstance(item, dict)]),
            redacted=bool(each.get("Redaction")),
        )


def _chat_began(transcript: list[Any]) -> datetime | None:
    return min((at for each in transcript if isinstance(each, dict) and (at := _time(each))), default=None)


def _time(entry: dict[str, Any]) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(entry["AbsoluteTime"]))
    except (KeyError, ValueError):
        return None
    return at if at.tzinfo else None
