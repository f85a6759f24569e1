"""Amazon Transcribe's batch output, with channels or speakers told apart.

Source: Amazon Transcribe developer guide, "Example channel identification output (batch)" and "Example diarization output (batch)".
"""

from collections.abc import Iterator
from typing import Any

from eval.replay.call import Problem, UnreadableCall
from eval.replay.readers.source import Said, Source, mean, milliseconds, share

_PAUSE_MS = 1_000
"""Words of one speaker after a longer pause are another utterance."""


def recognises(source: Source) -> bool:
    results = source.object.get("results")
    return isinstance(results, dict) and isinstance(results.get("transcripts"), list)


def read(source: Source) -> Iterator[Said | Problem]:
    results = source.object["results"]
    channels = results.get("channel_labels", {}).get("channels", [])
    items = [item for channel in channels for item in channel.get("items", ())] or results.get("items", [])
    if not channels and not results.get("speaker_labels"):
        raise UnreadableCall(
            f"'{source.path}' does not tell who speaks; have it transcribed again with channel identification or speaker labels."
        )
    spoken: dict[str, list[dict[str, Any]]] = {}
    label = ""
    for number, item in enumerate(items):
        label = str(item.get("channel_label") or item.get("speaker_label") or label)
        if item.get("type") == "pronunciation" and milliseconds(item.get("start_time")) is None:
            yield Problem(place=f"item {number}", what="a word without a time: left out")
        elif not item.get("alternatives"):
            yield Problem(place=f"item {number}", what="no word: left out")
        else:
            spoken.setdefault(label, []).append(item)
    everybody = sorted(
        ((label, run) for label, own in spoken.items() for run in _runs(own, spoken, label)),
        key=lambda each: milliseconds(each[1][0].get("start_time")) or 0,
    )
    for label, run in everybody:
        words = [item for item in run if item["type"] == "pronunciation"]
        yield Said(
            label,
            _text(run),
            f"items from {words[0]['start_time']} s",
            start_ms=milliseconds(words[0]["start_time"]),
            end_ms=milliseconds(words[-1].get("end_time")),
            channel=int(label[3:]) if label.startswith("ch_") and label[3:].isdigit() else None,
            confidence=mean([share(item["alternatives"][0].get("confidence")) for item in words]),
        )


def _runs(own: list[dict[str, Any]], everybody: dict[str, list[dict[str, Any]]], label: str) -> Iterator[list[dict[str, Any]]]:
    """One speaker's words, cut where they pause or another begins meanwhile."""
    others = sorted(
        start
        for name, items in everybody.items()
        if name != label
        for item in items
        if (start := milliseconds(item.get("start_time"))) is not None
    )
    run: list[dict[str, Any]] = []
    ended = 0
    for item in own:
        start = milliseconds(item.get("start_time"))
        if start is None:
            if run:
                run.append(item)  # punctuation
            continue
        if run and (start - ended > _PAUSE_MS or any(ended <= other < start for other in others)):
            yield run
            run = []
        run.append(item)
        ended = milliseconds(item.get("end_time")) or start
    if run:
        yield run


def _text(run: list[dict[str, Any]]) -> str:
    text = ""
    for item in run:
        word = str(item["alternatives"][0].get("content", ""))
        # Chinese words stand without a space.
        close = item["type"] == "punctuation" or not text or (not word.isascii() and not text[-1].isascii())
        text += word if close else f" {word}"
    return text
