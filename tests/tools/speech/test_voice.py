import shutil
import wave
from collections.abc import Iterator
from io import BytesIO

import pytest

from tools.kit.errors import VoiceUnavailable
from tools.shop.types import Language
from tools.speech.voice import EspeakVoice, read_aloud

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def seconds(recording: bytes) -> float:
    with wave.open(BytesIO(recording)) as file:
        return file.getnframes() / file.getframerate()


@needs_espeak
@pytest.mark.parametrize(("text", "language"), [("Your order is on its way.", "en"), ("您的订单已经发货。", "zh")])
def test_espeak_says_a_sentence_in_each_language(text: str, language: Language) -> None:
    assert 0.5 < seconds(EspeakVoice().say(text, language)) < 5


@needs_espeak
def test_a_text_that_looks_like_an_option_is_read_and_not_obeyed(tmp_path: pytest.TempPathFactory) -> None:
    assert seconds(EspeakVoice().say(f"-w {tmp_path}/made.wav", "en")) > 0.5
    assert not list(tmp_path.iterdir())


def test_without_espeak_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(VoiceUnavailable, match="apt-get install espeak-ng"):
        EspeakVoice().say("hello", "en")
    assert not EspeakVoice().is_there


class Repeating:
    """Says what it is given as bytes."""

    is_there = True

    def say(self, text: str, language: Language) -> bytes:
        return text.encode()


def test_the_first_sentence_is_heard_before_the_reply_is_complete() -> None:
    written: list[str] = []

    def reply() -> Iterator[str]:
        for piece in ("It costs $5. ", "Shall I ", "order it?"):
            written.append(piece)
            yield piece

    heard = read_aloud(Repeating(), reply(), "en")
    assert next(heard) == b"It costs five dollars."
    assert len(written) < 3
    assert list(heard) == [b"Shall I order it?"]
