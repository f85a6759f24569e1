"""Slips of the finger, the pinyin keyboard and the speech recogniser, put into labelled sentences while the chooser learns.

The wish must survive: a slip changes one or two characters or the dress of a sentence, never a number's digits or a word that decides.
"""

import random
import re
from functools import cache

from tools.shop.types import Language

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
HEARD = (
    ("their", "there"),
    ("to", "too"),
    ("for", "four"),
    ("your", "you're"),
    ("where", "wear"),
    ("buy", "by"),
    ("it's", "its"),
    ("one", "won"),
    ("new", "knew"),
    ("size", "sighs"),
    ("mail", "male"),
    ("sole", "soul"),
    ("waist", "waste"),
    ("pair", "pear"),
    ("would", "wood"),
    ("right", "write"),
)
"""Pairs that a recogniser of English confuses."""
_FILLERS: dict[Language, tuple[str, ...]] = {
    "en": ("um", "uh", "so", "hi", "hello", "well", "look", "right so", "hey there", "please"),
    "zh": ("那个", "嗯", "你好", "就是", "我说", "喂", "请问", "哎", "亲", "麻烦"),
}


def noisy(sentence: str, language: Language, rng: random.Random) -> str:
    """The sentence with one slip, or as it is if it is too short for one."""
    if len(sentence) < 5:
        return sentence
    slips = [
        lambda: _plain(sentence, language),
        lambda: _filler(sentence, language, rng),
        lambda: _drop(sentence, language, rng),
    ]
    slips += (
        [lambda: _pinyin(sentence, rng)] if language == "zh" else [lambda: _key(sentence, rng), lambda: _heard(sentence, rng)]
    )
    return rng.choice(slips)()


def _plain(sentence: str, language: Language) -> str:
    """Without capitals and punctuation, as a recogniser or a hurried thumb writes."""
    return (
        re.sub(r"\s+", " ", re.sub(r"[,.!?;:，。！？；：…~]+", " " if language == "zh" else "", sentence.lower())).strip()
        or sentence
    )


def _filler(sentence: str, language: Language, rng: random.Random) -> str:
    word = rng.choice(_FILLERS[language])
    return f"{word} {sentence}" if language == "en" else f"{word}{rng.choice(('', '，', ' '))}{sentence}"


def _key(sentence: str, rng: random.Random) -> str:
    """A neighbouring key, or two letters in the wrong order."""
    at = rng.choice([index for index, letter in enumerate(sentence) if letter.isascii() and letter.isalpha()] or [0])
    letter = sentence[at].lower()
    row = next((row for row in _KEYS if letter in row), None)
    if row is None or (rng.random() < 0.5 and at + 1 < len(sentence)):
        return sentence[:at] + sentence[at + 1 : at + 2] + sentence[at] + sentence[at + 2 :]
    place = row.index(letter) + rng.choice((-1, 1))
    return sentence[:at] + row[min(max(place, 0), len(row) - 1)] + sentence[at + 1 :]


def _drop(sentence: str, language: Language, rng: random.Random) -> str:
    """A letter is left out; of Chinese a particle only, because one character may be the word that decides."""
    if language == "zh":
        return re.sub(r"[的了吗呢啊吧呀嘛]", "", sentence, count=1) or sentence
    at = rng.choice([index for index, letter in enumerate(sentence) if letter.isalpha()] or [0])
    return sentence[:at] + sentence[at + 1 :]


def _heard(sentence: str, rng: random.Random) -> str:
    pairs = [pair for pair in HEARD if any(re.search(rf"\b{re.escape(word)}\b", sentence, re.I) for word in pair)]
    if not pairs:
        return _plain(sentence, "en")
    one, other = rng.choice(pairs)
    found = re.search(rf"\b(?:{re.escape(one)}|{re.escape(other)})\b", sentence, re.I)
    assert found
    return sentence[: found.start()] + (other if found[0].lower() == one else one) + sentence[found.end() :]


def _pinyin(sentence: str, rng: random.Random) -> str:
    """Another common character with the same sound: the first suggestion of a pinyin keyboard."""
    places = [index for index, character in enumerate(sentence) if len(sounding(sound_of(character))) > 1]
    if not places:
        return sentence
    at = rng.choice(places)
    others = [character for character in sounding(sound_of(sentence[at])) if character != sentence[at]]
    return sentence[:at] + rng.choice(others) + sentence[at + 1 :] if others else sentence


@cache
def sound_of(character: str) -> str:
    from pypinyin import Style, pinyin  # the training extra

    return pinyin(character, style=Style.NORMAL)[0][0] if "\u4e00" <= character <= "\u9fff" else ""


@cache
def sounding(sound: str) -> tuple[str, ...]:
    """Common characters of this sound."""
    return _by_sound().get(sound, ())


@cache
def _by_sound() -> dict[str, tuple[str, ...]]:
    from agent.examples import load_examples

    counts: dict[str, int] = {}
    for example in load_examples("zh"):
        for character in example.say:
            counts[character] = counts.get(character, 0) + 1
    by_sound: dict[str, tuple[str, ...]] = {}
    for character in sorted(counts, key=lambda each: (-counts[each], each)):
        if (sound := sound_of(character)) and counts[character] > 2:
            by_sound[sound] = (*by_sound.get(sound, ()), character)
    return by_sound
