"""What typing and speech recognition do to a message: slips of the finger, and words heard without commas. Codes stay whole."""

import re
from random import Random
from typing import Literal

Noise = Literal["none", "typos", "speech"]

_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "j": "hk", "k": "jl", "l": "ko",
    "m": "n", "n": "bm", "o": "ip", "p": "o", "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc",
    "y": "tu", "z": "x",
}  # fmt: skip
_FILLERS = {"en": ("uh", "um", "well", "you know"), "zh": ("嗯", "那个", "呃")}


def noisy(text: str, noise: Noise, random: Random) -> str:
    """The message with about one slip in twenty words, or as a recogniser writes it: a filler, and neither commas nor capitals.

    Words with a digit, "@" or capitals inside (order numbers, addresses, e-mail) stay: a customer reads those off.
    """
    if noise == "typos":
        return re.sub(r"\b[a-z]{5,}\b", lambda found: _slip(found[0], random) if random.random() < 0.05 else found[0], text)
    if noise == "speech":
        is_chinese = bool(re.search(r"[\u4e00-\u9fff]", text))
        filler = random.choice(_FILLERS["zh" if is_chinese else "en"])
        words = " ".join(word if re.search(r"[\d@]", word) else word.lower() for word in text.split())
        spoken = re.sub(r"[,!?;。，！？；]|\.(?=\s|$)", " ", words).strip()
        return re.sub(r"\s+", " ", f"{filler}{'' if is_chinese else ' '}{spoken}")
    return text


def _slip(word: str, random: Random) -> str:
    at = random.randrange(1, len(word) - 1)
    match random.randrange(3):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case _:
            return word[:at] + random.choice(_NEIGHBOURS[word[at]]) + word[at + 1 :]
