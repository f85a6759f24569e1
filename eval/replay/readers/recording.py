"""A recording: WAV, FLAC, MP3 and their like. Two channels with a speaker each, or one with a CSV of turns beside it.

Each channel is cut to what is said on it by Silero VAD, and every piece goes to the recogniser alone, with its place in the recording as
its time: times are the recording's own, to the end of an hour as at its beginning.
"""

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray

from eval.replay.call import Problem, UnreadableCall
from eval.replay.decoding import SAMPLE_RATE, NoRecording, decode_apart
from eval.replay.readers.source import Said, Source
from tools.kit.errors import UnreadableVoice

Pcm = NDArray[np.int16]
_MARKS = (b"RIFF", b"RF64", b"fLaC", b"ID3", b"OggS", b"\x1aE\xdf\xa3", b"FORM", b".snd", b"caff", b"#!AMR", b"0&\xb2u")
_BLOCK = 60 * SAMPLE_RATE
_PAUSE = 8 * SAMPLE_RATE // 10
"""Who goes on after a shorter pause is still saying the same thing."""
_LONGEST = 25 * SAMPLE_RATE
_AROUND = 2 * SAMPLE_RATE // 10
_SILENT = 60
"""Of 32,767: a block that is never louder is digital silence, or the hiss of a muted line."""
_ECHO = 0.1
"""A piece that is so much fainter than the other channel meanwhile (20 dB) is that one's echo."""
_SAME = 0.01
"""Two channels that differ by less than this share of their energy are one."""
_VAD = VadOptions(min_silence_duration_ms=300, speech_pad_ms=60, max_speech_duration_s=25)


def recognises(source: Source) -> bool:
    head = source.head
    # MPEG audio without a tag begins with eleven set bits; MP4 has "ftyp" at its fifth byte.
    is_mpeg = len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[:2] != b"\xff\xfe"
    return head.startswith(_MARKS) or head[4:8] == b"ftyp" or is_mpeg


def read(source: Source) -> Iterator[Said | Problem]:
    with TemporaryDirectory(prefix="storehand-") as apart:
        try:
            decoded = decode_apart(source.path, Path(apart))
        except NoRecording as error:
            raise UnreadableCall(f"'{source.path}' cannot be heard: {error}.") from error
        if decoded.damage:
            yield Problem(place=f"second {decoded.seconds:.0f}", what=decoded.damage)
        channels: list[Pcm] = [np.memmap(file, np.int16, "r") for file in decoded.channels]
        if len(channels) == 2 and not _are_one(*channels):
            pieces = [
                (start, end, number)
                for number in (0, 1)
                for start, end in spoken_parts(channels[number])
                if not _is_echo(channels[number][start:end], channels[1 - number][start:end])
            ]
            labelled = [(f"channel {number}", start, end, number) for start, end, number in sorted(pieces)]
        else:
            turns = source.turns()
            if not turns:
                raise UnreadableCall(
                    f"'{source.path}' has both speakers in one channel; put a CSV with speaker, start and end of each turn beside it, "
                    f"named '{source.path.stem}.csv', or export the call with one speaker a channel."
                )
            last = len(channels[0])
            at = [(turn, turn.start_ms * SAMPLE_RATE // 1000, min(turn.end_ms * SAMPLE_RATE // 1000, last)) for turn in turns]
            labelled = [(turn.label, start, end, 0) for turn, start, end in at if end > start]
            yield from (Problem(place=turn.place, what="after the recording's end") for turn, start, end in at if end <= start)
        if not labelled:
            raise UnreadableCall(f"nobody speaks in '{source.path}' ({decoded.seconds:.0f} s of silence, noise or music).")
        yield from _heard(source, channels, labelled, len(channels))


def spoken_parts(pcm: Pcm) -> list[tuple[int, int]]:
    """Where somebody speaks, in samples: what is said without a pause of _PAUSE is one part, of 25 seconds at most."""
    parts: list[tuple[int, int]] = []
    for first in range(0, len(pcm), _BLOCK):
        block = np.asarray(pcm[first : first + _BLOCK])
        if np.abs(block.astype(np.int32)).max(initial=0) <= _SILENT:
            continue
        sound = block.astype(np.float32) / np.float32(32768)
        for found in get_speech_timestamps(sound, _VAD):
            start, end = first + found["start"], first + found["end"]
            if parts and start - parts[-1][1] < _PAUSE and end - parts[-1][0] < _LONGEST:
                parts[-1] = (parts[-1][0], end)
            else:
                parts.append((start, end))
    return parts


def _heard(
    source: Source, channels: list[Pcm], pieces: list[tuple[str, int, int, int]], count: int
) -> Iterator[Said | Problem]:
    transcriber = source.transcriber()
    for label, start, end, channel in pieces:
        place = f"second {start / SAMPLE_RATE:.1f}"
        piece = channels[channel][max(0, start - _AROUND) : end + _AROUND]
        try:
            heard = transcriber.transcribe(_wav(piece))
        except UnreadableVoice:
            continue  # shorter than a word
        if not heard.text:
            yield Problem(place=place, what=f"{label}: sound, but no words")
            continue
        yield Said(
            label,
            heard.text,
            place,
            start * 1000 // SAMPLE_RATE,
            end * 1000 // SAMPLE_RATE,
            channel=channel if count == 2 else None,
            confidence=round(min(max(heard.confidence, 0.0), 1.0), 3),
            language=heard.language,
        )


def _wav(piece: Pcm) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(piece.tobytes())
    return file.getvalue()


def _is_echo(own: Pcm, other: Pcm) -> bool:
    return _loudness(own) < _ECHO * _loudness(other)


def _loudness(piece: Pcm) -> float:
    return float(np.sqrt(np.mean(piece.astype(np.float32) ** 2))) if len(piece) else 0.0


def _are_one(left: Pcm, right: Pcm) -> bool:
    apart = together = 0.0
    for first in range(0, len(left), _BLOCK):
        one, two = (side[first : first + _BLOCK].astype(np.float32) for side in (left, right))
        apart += float(np.sum((one - two) ** 2))
        together += float(np.sum(one**2) + np.sum(two**2))
    return apart < _SAME * together
