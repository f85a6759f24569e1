"""Numbers read out are heard a second and a third time: an order number with one wrong digit is another customer's order.

Whisper loses digits that come fast, and adds some at the end. The same sound with longer pauses between its bursts is heard better, and a
reading that knows nothing but digits errs elsewhere: what two of them hear alike is taken, else what has a digit for each burst, or the
first reading where it has more.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from tools.shop.types import Language
from tools.speech.whisper import SAMPLE_RATE, Sound, Whisper, Word
from tools.speech.written import as_written

_PAUSE_S = 0.25
_SILENCE_S = 0.1
_HOP = SAMPLE_RATE // 100
_SHORTEST_GAP_HOPS = 5
_SHORTEST_BURST_HOPS = 8
_SHORTEST_NUMBER = 4
_SURE_WORD = 0.5
_MOST_LETTERS = 0.6
"""For each digit: "all 9 4 0 2 7" is still nothing but digits, one of them taken for a word."""
_NUMBER_WORD = re.compile(
    r"\d+|zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple|[零〇一二三四五六七八九幺两]+", re.I
)
_SPELLED = re.compile(r"(?<![^\W\d_])[A-Z](?![^\W\d_])")

_NUMBER_NAMES = frozenset("order number tracking reference invoice code id".split())
_NAMES_BEFORE = 3
_SHORTEST_CUT = 3
_NO_PAUSE_S = 0.2
# Not "two" itself: those are digits already.
_LIKE_A_DIGIT = frozenset(
    "o owe won wun to too tree free for fore fife hive sex sick sicks heaven ate hate rate late eighth nigh nein mine line".split()
)
_AROUND_WORD = " ,.?!-，。？！、"


def bursts(sound: Sound) -> list[tuple[int, int]]:
    """Where the sound is loud, (start, end) in samples: of digits read out one by one, each digit."""
    hops = len(sound) // _HOP
    if not hops:
        return []
    loudness = 10 * np.log10((sound[: hops * _HOP].reshape(hops, _HOP) ** 2).mean(axis=1) + 1e-12)
    quiet, loud = np.percentile(loudness, [10, 95])
    is_loud = loudness > max(quiet + 0.25 * (loud - quiet), loud - 35)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_loud, [False]]).astype(np.int8)))
    found: list[list[int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if found and start - found[-1][1] < _SHORTEST_GAP_HOPS:
            found[-1][1] = end
        else:
            found.append([start, end])
    return [(start * _HOP, end * _HOP) for start, end in found if end - start >= _SHORTEST_BURST_HOPS]


def with_pauses(sound: Sound, parts: Sequence[tuple[int, int]]) -> Sound:
    """The sound with a longer pause between its bursts."""
    pause = np.zeros(int(_PAUSE_S * SAMPLE_RATE), np.float32)
    pieces: list[Sound] = []
    before = 0
    for (_, end), (start, _) in pairwise(parts):
        cut = (end + start) // 2
        pieces += [sound[before:cut], pause]
        before = cut
    return np.concatenate([*pieces, sound[before:]])


def digits_of(text: str, language: Language) -> str:
    """All digits of a text in its written form, in a row."""
    return "".join(character for character in as_written(text, language) if character.isdigit())


def is_number(text: str, language: Language, sound: Sound, *, is_unsure: bool = False) -> bool:
    """Whether the text is digits and nothing else, and as many, or the sound as many bursts, as an order's number has.

    Where it `is_unsure`, a short word or two may stand in it ("4 or 9 3 0 2"), but for one that stands alone: "5714A" is a code.
    """
    written = as_written(text, language)
    if _SPELLED.search(written):
        return False
    digits = len(digits_of(text, language))
    letters = sum(len(word) for word in re.findall(r"[^\W\d_]+", written) if not _NUMBER_WORD.fullmatch(word))
    if letters > (_MOST_LETTERS * digits if is_unsure else 0):
        return False
    return digits >= _SHORTEST_NUMBER or (digits > 0 and len(bursts(sound)) >= _SHORTEST_NUMBER)


def doubtful_runs(words: Sequence[Word], language: Language) -> list[tuple[str, float, float]]:
    """The numbers of an order's length among the words, of which a digit was heard with little confidence: digits, start and end in s."""
    runs: list[list[Word]] = [[]]
    for word in words:
        if _NUMBER_WORD.fullmatch(word.text.strip(_AROUND_WORD)):
            runs[-1].append(word)
        elif runs[-1]:
            runs.append([])
    return [
        (digits, run[0].start_s, run[-1].end_s)
        for run in runs
        if run
        and min(word.confidence for word in run) < _SURE_WORD
        and len(digits := digits_of("".join(word.text for word in run), language)) >= _SHORTEST_NUMBER
    ]


def cut_short(words: Sequence[Word]) -> list[tuple[str, str, float, float]]:
    """English numbers of orders whose last digit may have been heard as a word ("order 104 rate" is 1048).

    As digits, the word, and start and end of both in s. Only where the word sounds like a digit and comes at once: the sound decides.
    """
    plain = [word.text.strip(_AROUND_WORD).lower() for word in words]
    found = []
    for last, after in enumerate(plain):
        first = last
        while first and _NUMBER_WORD.fullmatch(plain[first - 1]):
            first -= 1
        digits = digits_of("".join(word.text for word in words[first:last]), "en")
        if (
            after in _LIKE_A_DIGIT
            and len(digits) >= _SHORTEST_CUT
            and words[last].start_s - words[last - 1].end_s < _NO_PAUSE_S
            and _NUMBER_NAMES & set(plain[max(0, first - _NAMES_BEFORE) : first])
        ):
            found.append((digits, after, words[first].start_s, words[last].end_s))
    return found


def hear_again(whisper: Whisper, sound: Sound, first: str, language: Language) -> tuple[str, bool]:
    """The digits of a number that `first` was heard as, and whether two readings agree on them."""
    parts = bursts(sound)
    # Sentences are heard worse with a silence before them, single digits better.
    sound = np.concatenate([np.zeros(int(_SILENCE_S * SAMPLE_RATE), np.float32), sound])
    parts = [(start + int(_SILENCE_S * SAMPLE_RATE), end + int(_SILENCE_S * SAMPLE_RATE)) for start, end in parts]
    slow = whisper.encode(with_pauses(sound, parts))
    heard = [digits_of(first, language)]
    readings: tuple[Callable[[], str], ...] = (
        lambda: digits_of(whisper.write_down(slow, language).text, language),
        lambda: whisper.write_digits(slow, language, len(parts)),
    )
    for read in readings:
        if (digits := read()) and digits in heard:
            return digits, True
        heard.append(digits)
    if len(heard[0]) > len(parts):
        # "Twelve, twenty-one" or digits in one breath: where they have no burst each, bursts tell nothing.
        return heard[0], False
    first_slow = heard[1] or heard[0]
    return next((digits for digits in heard if len(digits) == len(parts)), first_slow), False
