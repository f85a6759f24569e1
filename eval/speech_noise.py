"""Recognition errors put into transcripts: what would change had the recogniser misheard?

Words are taken for others of the same sound, digits for those that they are confused with on a telephone, small words are lost. Nothing
is put into an e-mail address: a misheard one fails, which every test of identity shows already.
"""

import random
import re

from agent.train.noise import HEARD, sound_of, sounding
from tools.shop.types import Language

_ALIKE: dict[str, tuple[str, ...]] = {}
for _one, _other in HEARD:
    _ALIKE[_one] = (*_ALIKE.get(_one, ()), _other)
    _ALIKE[_other] = (*_ALIKE.get(_other, ()), _one)

_DIGITS: dict[Language, dict[str, str]] = {
    # "five" and "nine", "one" and "nine", "six" and "eight", "two" and "three" share their vowels or their endings.
    "en": {"0": "4", "1": "9", "2": "3", "3": "2", "4": "0", "5": "9", "6": "8", "7": "1", "8": "6", "9": "5"},
    # 一 yī and 七 qī, 六 liù and 九 jiǔ, 四 sì and 十 shí, 二 èr and 八 bā.
    "zh": {"0": "6", "1": "7", "2": "8", "3": "4", "4": "3", "5": "2", "6": "9", "7": "1", "8": "2", "9": "6"},
}
_LOST = frozenset("a an the is it of to do my on".split())
_PIECES = re.compile(r"\S+@\S+|\d|[A-Za-z]+(?:['’][A-Za-z]+)?|[\u4e00-\u9fff]|.", re.S)


def noisy(text: str, language: Language, rate: float, seed: int) -> str:
    """The text as a recogniser that mishears the share `rate` of its words and digits (of Chinese, characters) writes it.

    The same arguments give the same text. Raises ValueError unless 0 <= rate <= 1.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"a rate of {rate} is no share between 0 and 1")
    rng = random.Random(f"{seed} {text}")
    pieces: list[str] = _PIECES.findall(text)
    heard = [_misheard(piece, language, rng) if piece.strip() and rng.random() < rate else piece for piece in pieces]
    return re.sub(r" {2,}", " ", "".join(heard)).strip() or text


def _misheard(piece: str, language: Language, rng: random.Random) -> str:
    if piece.isdigit() and piece.isascii():
        # Half of the time the digit is another one, else it is lost or written twice.
        return rng.choice((_DIGITS[language][piece], _DIGITS[language][piece], "", piece * 2))
    if "\u4e00" <= piece <= "\u9fff":
        others = [other for other in sounding(sound_of(piece)) if other != piece]
        return rng.choice(others) if others else piece
    if piece.lower() in _ALIKE:
        return rng.choice(_ALIKE[piece.lower()])
    return "" if piece.lower() in _LOST else piece
