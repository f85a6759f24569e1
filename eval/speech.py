"""How well speech is understood: word and character error rates, with numbers and spelled names in one form.

A customer who reads out an order number says "three three one oh"; the recogniser writes "3310", and both are right.
So both sides are brought to one form first; what is compared is no longer the wording, but still every digit and letter.
"""

import json
import random
import re
import unicodedata
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from threading import Thread
from time import perf_counter, sleep
from typing import Any, TypeVar

from faster_whisper import WhisperModel
from rich.console import Console
from rich.progress import track

from tools.speech.live import Listener
from tools.speech.simplified import simplified
from tools.speech.whisper import SAMPLE_RATE, Sound
from tools.transcribe_speech import Transcriber, decode_recording

T = TypeVar("T")
Recogniser = Callable[[Path | bytes], str]
NUMBER_DIGITS = 6
GAP_MS = 80
FRAME_S = 0.05

_DIGITS = "zero one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth"
).split()
_SMALL = {
    **{word: value for value, word in enumerate(_DIGITS + _TEENS)},
    **{word: value for value, word in enumerate(_ORDINALS)},
    **{word: 10 * tens for tens, word in enumerate(_TENS, start=2)},
    **{word[:-1] + "ieth": 10 * tens for tens, word in enumerate(_TENS, start=2)},
}
_HAN_DIGITS = {**{digit: value for value, digit in enumerate("零一二三四五六七八九")}, "〇": 0, "两": 2}
_HAN_UNITS = {"亿": 10**8, "万": 10**4, "千": 1000, "百": 100, "十": 10}
_HAN_NUMBER = re.compile(f"[{''.join([*_HAN_DIGITS, *_HAN_UNITS])}0-9]+")


def word_error_rate(references: Sequence[str], transcripts: Sequence[str]) -> float:
    """The share of spoken words that were missed, added or taken for others, over all pairs together.

    Each digit and each spelled letter counts as one word. Can exceed 1. Raises ValueError where no reference has a word.
    """
    return _error_rate(_references(references), [_one_form(text) for text in transcripts])


def character_error_rate(references: Sequence[str], transcripts: Sequence[str]) -> float:
    """The same for characters, spaces and punctuation left out: the measure for Chinese, which has no spaces."""
    return _error_rate(
        ["".join(words) for words in _references(references)],
        ["".join(_one_form(text)) for text in transcripts],
    )


def measure_speech(
    transcriber: Transcriber,
    plain: Recogniser,
    *,
    transcripts: Path | None = None,
    slots: Path | None = None,
    digits: Path | None = None,
    limit: int | None = None,
) -> dict[str, dict[str, float]]:
    """Read the same recordings with Storehand's recognition and with faster-whisper alone: {"ours": figures, "plain": figures}.

    `transcripts`: JSON lines with {"audio": path beside the file, "text": what was said}; gives "wer" and "cer". `slots`: JSON lines
    with {"audio", "slots": {name: value}}; gives "slots", the share of the values that stand in the transcript. `digits`: a folder of
    single digits in the Free Spoken Digit Dataset's form; gives "exact", the share of the six-digit order numbers made of them that
    are right. Always "rtf": time needed over length of the recordings. `limit` takes so many of each kind, evenly from the whole.
    Shows a progress bar on stderr.
    """
    said = _rows(transcripts, limit) if transcripts else []
    wanted = _rows(slots, limit) if slots else []
    numbers = _spread(spoken_numbers(digits), limit) if digits else []
    recordings: list[Path | bytes] = [row["audio"] for row in (*said, *wanted)] + [number.recording for number in numbers]
    readers: dict[str, Recogniser] = {"ours": lambda recording: transcriber.transcribe(recording).text, "plain": plain}
    heard: dict[str, list[str]] = {name: [] for name in readers}
    needed = dict.fromkeys(readers, 0.0)
    seconds = 0.0
    for place, recording in enumerate(track(recordings, description="listening", console=Console(stderr=True))):
        seconds += len(decode_recording(recording)) / SAMPLE_RATE
        # Whichever comes second finds the caches warm.
        for name in sorted(readers, reverse=bool(place % 2)):
            start = perf_counter()
            heard[name].append(readers[name](recording))
            needed[name] += perf_counter() - start
    figures: dict[str, dict[str, float]] = {}
    for name, texts in heard.items():
        figures[name] = {}
        if said:
            references = [row["text"] for row in said]
            figures[name]["wer"] = round(word_error_rate(references, texts[: len(said)]), 4)
            figures[name]["cer"] = round(character_error_rate(references, texts[: len(said)]), 4)
        if wanted:
            found = [
                is_in(value, text)
                for row, text in zip(wanted, texts[len(said) :], strict=False)
                for value in row["slots"].values()
            ]
            figures[name]["slots"] = round(sum(found) / len(found), 4)
        if numbers:
            right = [digits_in(text) == number.digits for number, text in zip(numbers, texts[-len(numbers) :], strict=True)]
            figures[name]["exact"] = round(sum(right) / len(right), 4)
        figures[name] |= {"rtf": round(needed[name] / seconds, 3), "recordings": len(recordings), "seconds": round(seconds, 1)}
    return figures


def measure_live(transcriber: Transcriber, transcripts: Path, limit: int | None = None) -> dict[str, float]:
    """Play recordings at the pace of speech to the live recognition, and read each again whole after its end.

    Both are timed from the same moment, the recording's last sample, to their final text: as if the customer ended the message with a
    button right there, however much silence the recording has at its end; nothing that comes later is needed by either. Answers medians:
    "after_end_s" of the live recognition, "whole_s" of reading the whole recording, "ratio" of the two; "first_partial_s", seconds from
    the beginning to the first text; and "wer" and "whole_wer" of the final texts.
    """
    rows = _rows(transcripts, limit)
    after, whole, first, live_texts, whole_texts = [], [], [], [], []
    for row in track(rows, description="playing", console=Console(stderr=True)):
        sound = decode_recording(row["audio"])
        listener = Listener(transcriber)
        began, partial_s = perf_counter(), None
        microphone = Thread(target=_play, args=(sound, listener, began))
        microphone.start()
        while microphone.is_alive():
            if listener.read() is None:
                sleep(FRAME_S / 2)
            elif partial_s is None:
                partial_s = perf_counter() - began
        microphone.join()
        live_texts.append(listener.finish().text)
        after.append(perf_counter() - began - len(sound) / SAMPLE_RATE)
        first += [] if partial_s is None else [partial_s]
        start = perf_counter()
        whole_texts.append(transcriber.transcribe_sound(sound).text)
        whole.append(perf_counter() - start)
    said = [row["text"] for row in rows]
    return {
        "after_end_s": round(median(after), 3),
        "whole_s": round(median(whole), 3),
        "ratio": round(median(after) / median(whole), 3),
        "first_partial_s": round(median(first), 3) if first else 0.0,
        "wer": round(word_error_rate(said, live_texts), 4),
        "whole_wer": round(word_error_rate(said, whole_texts), 4),
        "recordings": len(rows),
    }


def _play(sound: Sound, listener: Listener, began: float) -> None:
    """The sound as a microphone gives it: frame by frame, each when it is over."""
    for start in range(0, len(sound), int(FRAME_S * SAMPLE_RATE)):
        frame = sound[start : start + int(FRAME_S * SAMPLE_RATE)]
        sleep(max(0.0, began + (start + len(frame)) / SAMPLE_RATE - perf_counter()))
        listener.hear((frame * 32767).astype("<i2").tobytes())


def faster_whisper_alone(model: WhisperModel) -> Recogniser:
    """faster-whisper with its default settings over the same weights: what Storehand's recognition is held against."""

    def read(recording: Path | bytes) -> str:
        segments, _ = model.transcribe(BytesIO(recording) if isinstance(recording, bytes) else str(recording))
        return "".join(segment.text for segment in segments).strip()

    return read


@dataclass(frozen=True)
class SpokenNumber:
    """A six-digit order number in one voice, and what is heard of it."""

    digits: str
    recording: bytes


def spoken_numbers(folder: Path) -> list[SpokenNumber]:
    """Order numbers of single recordings named DIGIT_SPEAKER_NUMBER.wav, with gaps of GAP_MS; each recording is used once at most.

    The same folder gives the same numbers. Raises FileNotFoundError where there are no recordings.
    """
    voices: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("[0-9]_*_*.wav")):
        voices.setdefault(file.stem.split("_")[1], []).append(file)
    if not voices:
        raise FileNotFoundError(f"no recordings named DIGIT_SPEAKER_NUMBER.wav in '{folder}'")
    numbers = []
    for voice, files in sorted(voices.items()):
        random.Random(voice).shuffle(files)
        for first in range(0, len(files) - NUMBER_DIGITS + 1, NUMBER_DIGITS):
            chosen = files[first : first + NUMBER_DIGITS]
            numbers.append(SpokenNumber("".join(file.name[0] for file in chosen), _joined(chosen)))
    return numbers


def _joined(files: Sequence[Path]) -> bytes:
    joined = BytesIO()
    with wave.open(joined, "wb") as out:
        for place, file in enumerate(files):
            with wave.open(str(file)) as spoken:
                if not place:
                    out.setparams(spoken.getparams())
                else:
                    out.writeframes(bytes(spoken.getframerate() * GAP_MS // 1000 * spoken.getsampwidth()))
                out.writeframes(spoken.readframes(spoken.getnframes()))
    return joined.getvalue()


def digits_in(text: str) -> str:
    """All digits of a text in a row, however they are written: "One, two, 5-oh" is "1250"."""
    return "".join(word for word in _one_form(text) if word.isdigit())


def is_in(value: str, text: str) -> bool:
    """Whether the words of `value` stand in the text one after the other, in one form."""
    words, wanted = _one_form(text), _one_form(value)
    return any(words[place : place + len(wanted)] == wanted for place in range(len(words) - len(wanted) + 1))


def _rows(file: Path, limit: int | None) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [{**row, "audio": file.parent / row["audio"]} for row in _spread(rows, limit)]


def _spread(items: Sequence[T], limit: int | None) -> list[T]:
    """So many, taken evenly from the whole list."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[index * len(items) // limit] for index in range(limit)]


def _references(texts: Sequence[str]) -> list[list[str]]:
    """What was said, in one form. A corpus written in capitals throughout spells only where letters stand alone."""
    capitals = "".join(texts).isupper()
    return [_one_form(text.lower() if capitals else text) for text in texts]


def _one_form(text: str) -> list[str]:
    """Words in lower case without punctuation; every digit, spelled letter and Han character by itself.

    "P-A-T and UTFF8, fifty-one, 2nd" → ["p", "a", "t", "and", "u", "t", "f", "f", "8", "5", "1", "2"].
    """
    text = simplified(unicodedata.normalize("NFKC", text.replace("½", " and a half")))
    # Recognisers write spelled letters as one word in capitals.
    text = re.sub(r"[A-Z]{2,}(?![a-z])", lambda match: " ".join(match[0]), text).lower()
    text = re.sub(r"(?<=\d),(?=\d{3})|['’]", "", text)
    text = _HAN_NUMBER.sub(lambda match: _han_number(match[0]), text)
    text = re.sub(r"(?<=\d)\.(?=\d)", "点", text)
    return _spoken_numbers(re.findall(r"\d+(?:st|nd|rd|th)\b|\d+|[^\W\d_\u4e00-\u9fff]+|[\u4e00-\u9fff]", text))


def _spoken_numbers(words: Sequence[str]) -> list[str]:
    """English number words as single digits: "sixty two thirty one" → 6 2 3 1, "five hundred two" → 5 0 2, "oh" → 0."""
    out: list[str] = []
    thousands = below = 0  # The number being read, in two parts: "four thousand seven hundred" is 4000 and 700.
    room = 0  # The next word belongs to this number if it is smaller: after "sixty" 10, after "hundred" 100, else 0.
    reading = False
    for place, word in enumerate(words):
        value = _SMALL.get(word)
        beside_number = any(map(_is_number, (*words[max(place - 1, 0) : place], *words[place + 1 : place + 2])))
        if reading and word == "hundred" and 0 < below < 100:
            below, room = below * 100, 100
            continue
        if reading and word == "thousand" and below and not thousands:
            thousands, below, room = below * 1000, 0, 100
            continue
        if word == "and" and room == 100 and words[place + 1 : place + 2] and words[place + 1] in _SMALL:
            continue
        if reading and value and value < room:
            below, room = below + value, 10 if value >= 20 else 0
            continue
        if reading:
            out.extend(str(thousands + below))
        thousands, below, room, reading = 0, value or 0, 10 if value and value >= 20 else 0, value is not None
        if beside_number and word in ("oh", "point"):
            out.append("0" if word == "oh" else "点")
        elif word[0].isdigit():
            out.extend(character for character in word if character.isdigit())
        elif not reading:
            out.append(word)
    if reading:
        out.extend(str(thousands + below))
    return out


def _is_number(word: str) -> bool:
    return word in _SMALL or word in ("oh", "hundred", "thousand") or word[0].isdigit()


def _han_number(text: str) -> str:
    """Chinese numerals as digits: 三百二十八万 and 328万 → 3280000, 二零零三 → 2003."""
    for character, unit in _HAN_UNITS.items():
        before, found, after = text.partition(character)
        if found:
            rest = after.lstrip("零〇")
            return str((int(_han_number(before)) if before else 1) * unit + (int(_han_number(rest)) if rest else 0))
    return "".join(str(_HAN_DIGITS.get(digit, digit)) for digit in text)


def _error_rate(references: Sequence[Sequence[str]], transcripts: Sequence[Sequence[str]]) -> float:
    spoken = sum(map(len, references))
    if not spoken:
        raise ValueError("no reference has any word to compare with")
    return sum(_edits(said, heard) for said, heard in zip(references, transcripts, strict=True)) / spoken


def _edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """Levenshtein distance: the fewest insertions, deletions and substitutions that turn one into the other."""
    row = list(range(len(heard) + 1))
    for place, unit in enumerate(said, start=1):
        diagonal, row[0] = row[0], place
        for column, other in enumerate(heard, start=1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (unit != other))
    return row[-1]
