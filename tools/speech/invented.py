"""What a recogniser wrote that nobody said: sign-offs of subtitles, words in silence, the same words over and over."""

import re

_SILENCE = 0.6
_UNSURE_LOGPROB = -1.0
# Sign-offs and credits of the subtitles that Whisper learned from; it writes them into noise and silence.
_SIGN_OFFS = frozenset(
    {
        "you", "bye", "bye bye", "thank you", "thank you very much", "thanks for watching", "thank you for watching",
        "thank you so much for watching", "please subscribe", "subtitles by the amara org community",
        "谢谢", "谢谢大家", "谢谢观看", "谢谢收看", "谢谢收听", "多谢观看", "感谢观看", "请订阅",
        "字幕由amara org社区提供", "字幕志愿者杨茜茜", "字幕志愿者李宗盛", "请不吝点赞订阅转发打赏支持明镜与点点栏目",
        "优优独播剧场yoyo television series exclusive",
    }
)  # fmt: skip

# A word or a few, at once again and again. Digits are let be: "5 5 5 5" can be an order.
_AGAIN = re.compile(r"\b([^\W\d]+(?:[,.!?]? [^\W\d]+){0,5}?)(?:[,.!?]? \1\b){3,}", re.I)
_AGAIN_HAN = re.compile(r"([\u4e00-\u9fff]{2,12}?)(?:[，。！？ ]?\1){3,}")


def is_invented(text: str, silence: float, logprob: float) -> bool:
    """Whether Whisper wrote down what nobody said.

    `silence` is its own probability of there being no speech, `logprob` the mean log-probability of the text's tokens. The
    sign-offs of subtitles ("Thanks for watching", 「谢谢观看」) are believed only of clear speech.
    """
    if silence > _SILENCE and logprob < _UNSURE_LOGPROB:
        return True
    words = " ".join("".join(character if character.isalnum() else " " for character in text.lower()).split())
    return not words or (words in _SIGN_OFFS and (silence > _SILENCE or logprob < _UNSURE_LOGPROB))


def without_repeats(text: str) -> str:
    """The text with what stands in it four times or more on end written once: nobody says so, and a recogniser in a loop does."""
    return re.sub(_AGAIN_HAN, r"\1", re.sub(_AGAIN, r"\1", text))


def says_twice(text: str) -> bool:
    """Whether the text is something and the same again ("Enter 41. Enter 41."): said so seldom that it is worth another reading."""
    signs = _signs(text)
    return any(
        len(signs) % times == 0 and signs == signs[: len(signs) // times] * times and len(signs) // times > 2
        for times in (2, 3, 4)
    )


def trails_off(text: str) -> bool:
    """Whether the last words are those before them again, but for the figures ("about 1455, of about 1555"): a short window's slip."""
    words = ["0" if any(map(str.isdigit, word)) else _signs(word) for word in text.split()]
    return any(
        words[-length:] == words[-2 * length : -length] and any(map(str.isalpha, "".join(words[-length:])))
        for length in range(2, len(words) // 2 + 1)
    )


def said_once(text: str) -> str:
    """Of a text that is something and the same again the first time. Digits alone stay: "55 55" can be an order."""
    words = text.split()
    if any(map(str.isalpha, text)):
        for times in (4, 3, 2):
            length, rest = divmod(len(words), times)
            said = {_signs(" ".join(words[at : at + length])) for at in range(0, len(words), max(length, 1))}
            if length and not rest and len(said) == 1:
                return " ".join(words[:length])
    return text


def _signs(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
