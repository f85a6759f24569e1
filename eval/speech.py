"""How well speech is understood: word and character error rates, with numbers and spelled names in one form.

A customer who reads out an order number says "three three one oh"; the recogniser writes "3310", and both are right.
So both sides are brought to one form first; what is compared is no longer the wording, but still every digit and letter.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import track

from tools.transcribe_speech import Transcriber

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


def measure_speech(transcriber: Transcriber, folder: Path, limit: int | None = None) -> dict[str, float | int]:
    """Transcribe a folder of recordings and compare with what was said.

    `folder` holds transcripts.jsonl with one {"audio": path inside the folder, "text": what was said} a line; `limit`
    takes the first so many. Answers {"wer" (English) or "cer" (Chinese), "utterances", "real_time_factor": time needed
    over length of the recordings, "seconds": length of the recordings}. Shows a progress bar on stderr.
    """
    lines = (folder / "transcripts.jsonl").read_text(encoding="utf-8").splitlines()[:limit]
    rows = [json.loads(line) for line in lines]
    transcripts, seconds, needed = [], 0.0, 0.0
    for row in track(rows, description=folder.name, console=Console(stderr=True)):
        start = perf_counter()
        transcript = transcriber.transcribe(folder / row["audio"])
        needed += perf_counter() - start
        seconds += transcript.seconds
        transcripts.append(transcript.text)
    references = [row["text"] for row in rows]
    chinese = any("\u4e00" <= character <= "\u9fff" for character in "".join(references))
    rate = character_error_rate(references, transcripts) if chinese else word_error_rate(references, transcripts)
    return {
        "cer" if chinese else "wer": round(rate, 4),
        "utterances": len(rows),
        "real_time_factor": round(needed / seconds, 3),
        "seconds": round(seconds, 1),
    }


def _references(texts: Sequence[str]) -> list[list[str]]:
    """What was said, in one form. A corpus written in capitals throughout spells only where letters stand alone."""
    capitals = "".join(texts).isupper()
    return [_one_form(text.lower() if capitals else text) for text in texts]


def _one_form(text: str) -> list[str]:
    """Words in lower case without punctuation; every digit, spelled letter and Han character by itself.

    "P-A-T and UTFF8, fifty-one, 2nd" → ["p", "a", "t", "and", "u", "t", "f", "f", "8", "5", "1", "2"].
    """
    text = unicodedata.normalize("NFKC", text.replace("½", " and a half"))
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
