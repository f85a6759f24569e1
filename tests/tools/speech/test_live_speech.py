"""The real end of speech and the real cuts, with a recogniser that counts and is told what to hear."""

import shutil
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from tools.speech.live import DIP_S, END_SILENCE_S, STEP_S, Listener
from tools.speech.voice import EspeakVoice
from tools.speech.whisper import SAMPLE_RATE, Encoded, Sound, Written
from tools.transcribe_speech import Heard, Reading, decode_recording

FRAME = SAMPLE_RATE // 20


class Hearing:
    """Hears the length of a window in tenths of a second, so that what was covered can be told."""

    def __init__(self, *, is_sure: bool = True) -> None:
        self.is_sure = is_sure
        self.glanced_s: list[float] = []
        self.read_s: list[float] = []
        self.settled = 0
        self.ends = False
        self.meanwhile: list[bytes] = []
        self.listener: Listener | None = None

    def glance(
        self, window: Sound, before: str | None, hints: object, likely: str | None, is_wanted: Callable[[], bool]
    ) -> tuple[Reading, bool] | None:
        self.glanced_s.append(len(window) / SAMPLE_RATE)
        while self.meanwhile and self.listener:
            self.listener.hear(self.meanwhile.pop(0))
            if not self.meanwhile and self.ends:
                self.listener.end()
        return (self._heard(window), self.is_sure) if is_wanted() else None

    def read(self, window: Sound, before: str | None, hints: object) -> Reading:
        self.read_s.append(len(window) / SAMPLE_RATE)
        return self._heard(window)

    def _heard(self, window: Sound) -> Reading:
        words = " ".join(f"w{place}" for place in range(int(10 * len(window) / SAMPLE_RATE)))
        return Reading(window, "en", Encoded(None, 0.0), Written(words, (), -0.1, 0.0))

    def settle(self, reading: Reading, soon: bool = False) -> Heard:
        self.settled += 1
        return Heard(reading.text, reading.code, -0.1)


@pytest.fixture(scope="module")
def sentence() -> Sound:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed: apt-get install espeak-ng")
    sound = decode_recording(EspeakVoice().say("could you tell me where my parcel is please", "en"))
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    return sound[loud[0] : loud[-1]]


def pcm(sound: Sound) -> bytes:
    return bytes((sound * 32767).astype("<i2").tobytes())


def silence(seconds: float) -> Sound:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def play(listener: Listener, sound: Sound, frame: int = FRAME) -> list[str]:
    """Every partial text of sound that comes frame by frame, as fast as it is read."""
    partials = []
    for start in range(0, len(sound), frame):
        listener.hear(pcm(sound[start : start + frame]))
        while partial := listener.read():
            assert 0 <= partial.settled <= len(partial.text)
            partials.append(partial.text)
    return partials


@pytest.mark.parametrize("is_sure", [True, False])
def test_what_was_read_in_the_silence_is_not_read_again_at_the_end(sentence: Sound, is_sure: bool) -> None:
    hearing = Hearing(is_sure=is_sure)
    listener = Listener(hearing)
    play(listener, np.concatenate([silence(0.3), sentence, silence(0.5)]))
    glances = len(hearing.glanced_s)
    assert not listener.has_ended
    play(listener, silence(END_SILENCE_S - 0.5 + 0.2))
    assert listener.has_ended
    final = listener.finish()
    assert len(hearing.glanced_s) == glances
    # A quick reading is enough where the recogniser is sure of it.
    assert hearing.settled == 1
    assert len(hearing.read_s) == (not is_sure)
    # All that was said was in it.
    assert len(final.text.split()) >= int(10 * len(sentence) / SAMPLE_RATE)
    assert final.speech_seconds == pytest.approx(len(sentence) / SAMPLE_RATE, abs=0.4)


def test_partial_texts_come_while_somebody_speaks_and_only_for_new_sound(sentence: Sound) -> None:
    hearing = Hearing()
    partials = play(Listener(hearing), sentence)
    assert 2 <= len(partials) <= 1 + len(sentence) / SAMPLE_RATE / STEP_S * 2
    assert all(after.startswith(before) for before, after in pairwise(partials))


def test_what_is_said_while_the_recogniser_reads_is_in_the_final_text(sentence: Sound) -> None:
    hearing = Hearing()
    hearing.listener = listener = Listener(hearing)
    half = len(sentence) // 2
    listener.hear(pcm(sentence[:half]))
    hearing.meanwhile = [pcm(sentence[half:])]
    assert listener.read() is not None
    assert len(listener.finish().text.split()) == int(10 * len(sentence) / SAMPLE_RATE)


def test_a_reading_that_the_end_of_the_sound_overtakes_is_dropped_and_nothing_is_lost(sentence: Sound) -> None:
    hearing = Hearing()
    hearing.listener = listener = Listener(hearing)
    listener.hear(pcm(sentence[: len(sentence) // 2]))
    hearing.meanwhile, hearing.ends = [pcm(sentence[len(sentence) // 2 :])], True
    assert listener.read() is None
    assert len(listener.finish().text.split()) == int(10 * len(sentence) / SAMPLE_RATE)
    assert len(hearing.glanced_s) == 2


def test_a_reading_that_the_next_quiet_overtakes_is_dropped_and_begun_again_with_all_of_it(sentence: Sound) -> None:
    hearing = Hearing()
    hearing.listener = listener = Listener(hearing)
    listener.hear(pcm(sentence[: len(sentence) // 2]))
    hearing.meanwhile = [pcm(np.concatenate([sentence[len(sentence) // 2 :], silence(2 * DIP_S)]))]
    assert listener.read() is None
    partial = listener.read()
    assert partial is not None
    assert len(partial.text.split()) >= int(10 * len(sentence) / SAMPLE_RATE)


def test_of_long_speech_the_earlier_windows_are_read_for_good_only_once(sentence: Sound) -> None:
    hearing = Hearing()
    listener = Listener(hearing)
    spoken = np.concatenate([np.concatenate([sentence, silence(0.3)]) for _ in range(12)])
    assert len(spoken) > 25 * SAMPLE_RATE
    play(listener, spoken, frame=SAMPLE_RATE)
    assert listener.finish().text
    assert sum(hearing.read_s) < len(spoken) / SAMPLE_RATE
    assert max(hearing.read_s + hearing.glanced_s) < 21
    assert hearing.read_s


def test_silence_has_no_text_and_no_end() -> None:
    hearing = Hearing()
    listener = Listener(hearing)
    assert play(listener, silence(2)) == []
    assert not listener.has_ended
    assert listener.finish().text == ""
    assert hearing.glanced_s == hearing.read_s == []
