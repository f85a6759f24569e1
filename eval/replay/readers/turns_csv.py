"""A table with a row a turn: speaker, start, end and text, in any order; times in seconds, as 00:01:02.5, or in columns named *_ms.

Without text, such a table tells who speaks when in the recording, the Whisper JSON or the subtitles of the same name beside it.
"""

from collections.abc import Iterator

from eval.replay.call import Problem, UnreadableCall
from eval.replay.readers.source import Said, Source, Turn, as_number, share, table_rows, turn_of


def recognises(source: Source) -> bool:
    first = next(iter(table_rows(source.text)), None)
    return first is not None and "speaker" in first[1] and bool(first[1].keys() & {"start", "text"})


def read(source: Source) -> Iterator[Said | Problem]:
    for place, row in table_rows(source.text):
        if "text" not in row:
            raise UnreadableCall(
                f"'{source.path}' tells who speaks when but not what; put the recording beside it, under the same name."
            )
        turn = turn_of(row, place)
        if not row["text"] or not row.get("speaker"):
            yield Problem(place=place, what="no text" if row.get("speaker") else "no speaker")
            continue
        if isinstance(turn, str):
            yield Problem(place=place, what=f"{turn}: used without a time")
        channel = as_number(row.get("channel"))
        yield Said(
            row["speaker"],
            row["text"],
            place,
            start_ms=turn.start_ms if isinstance(turn, Turn) else None,
            end_ms=turn.end_ms if isinstance(turn, Turn) else None,
            channel=int(channel) if channel is not None and channel >= 0 else None,
            confidence=share(row.get("confidence")),
        )
