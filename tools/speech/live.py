"""Speech that is written down while it goes on: partial text as the customer speaks, the final text as soon as they stop.

The sound so far is read again and again; words that two readings in a row agree on are settled and do not change any more. When a short
silence begins, the last reading is made at once, so that it is there when the silence turns out to be the end.
Source: Macháček et al. 2023, arXiv:2307.14743 (LocalAgreement), on Whisper; Silero VAD for the end of speech.
"""

from dataclasses import dataclass

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps

from tools.speech.hints import NO_HINTS, Hints
from tools.speech.whisper import SAMPLE_RATE, Sound, Word
from tools.transcribe_speech import Transcriber, Transcript

END_SILENCE_S = 0.8
"""Silence after which somebody has finished speaking; shorter ones are for thinking."""
PAUSE_S = 0.2
"""Silence at which the last reading is made, in case it is the end."""
STEP_S = 0.6
"""New sound that is worth another reading."""
_LOOK_BACK_S = 3
_LONGEST_TAIL_S = 12
_VAD = VadOptions(min_silence_duration_ms=100, speech_pad_ms=0)


@dataclass(frozen=True)
class Partial:
    """The text so far; its first `settled` characters do not change any more."""

    text: str
    settled: int


class Listener:
    """One message as it is spoken. Not safe to share between threads; `hear` is quick, `read` and `finish` take model time."""

    def __init__(self, transcriber: Transcriber, hints: Hints = NO_HINTS) -> None:
        self._transcriber, self._hints = transcriber, hints
        self._sound: Sound = np.zeros(0, np.float32)
        self._cut = 0
        self._before = ""
        self._code: str | None = None
        self._read_to = 0
        self._last: tuple[Word, ...] = ()
        self._settled = 0
        self._speech_end = 0
        self._final: tuple[int, Transcript] | None = None

    @property
    def seconds(self) -> float:
        """How long the customer has been listened to."""
        return len(self._sound) / SAMPLE_RATE

    @property
    def has_ended(self) -> bool:
        """Whether somebody spoke and has finished."""
        return self._speech_end > 0 and self._silence_s >= END_SILENCE_S

    @property
    def _silence_s(self) -> float:
        return (len(self._sound) - self._speech_end) / SAMPLE_RATE

    def hear(self, pcm: bytes) -> None:
        """Take 16-bit little-endian samples, 16 kHz mono."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        self._sound = np.concatenate([self._sound, samples])
        back = max(0, len(self._sound) - _LOOK_BACK_S * SAMPLE_RATE)
        for part in get_speech_timestamps(self._sound[back:], _VAD)[-1:]:
            self._speech_end = max(self._speech_end, back + part["end"])

    def read(self) -> Partial | None:
        """Read what is new, if it is worth it; None if it is not."""
        if not self._speech_end:
            return None
        if self._silence_s >= PAUSE_S:
            if self._final is None or self._final[0] != self._speech_end:
                self._final = (self._speech_end, self._whole())
                return Partial(self._final[1].text, len(self._final[1].text))
            return None
        if len(self._sound) - self._read_to < STEP_S * SAMPLE_RATE:
            return None
        self._read_to = len(self._sound)
        self._code, words = self._transcriber.glance(self._sound[self._cut :], self._code, self._before)
        self._settle(words)
        text = _text(words)
        settled = len(_text(words[: self._settled]))
        self._last = words
        self._forget_settled()
        return Partial(self._before + text, len(self._before) + settled)

    def finish(self) -> Transcript:
        """The text of all that was said: read already if the customer had fallen silent."""
        if self._final is None or self._final[0] != self._speech_end:
            self._final = (self._speech_end, self._whole())
        return self._final[1]

    def _whole(self) -> Transcript:
        return self._transcriber.transcribe_sound(self._sound, self._hints)

    def _settle(self, words: tuple[Word, ...]) -> None:
        agreed = 0
        for before, now in zip(self._last, words, strict=False):
            if _bare(before.text) != _bare(now.text):
                break
            agreed += 1
        self._settled = max(self._settled, agreed) if agreed >= self._settled else agreed

    def _forget_settled(self) -> None:
        """Of long speech only the end is read again."""
        if len(self._sound) - self._cut < _LONGEST_TAIL_S * SAMPLE_RATE or not self._settled:
            return
        done = self._last[: self._settled]
        self._cut += int(done[-1].end_s * SAMPLE_RATE)
        self._before += _text(done)
        self._last, self._settled = (), 0


def _text(words: tuple[Word, ...]) -> str:
    return "".join(word.text for word in words).lstrip()


def _bare(word: str) -> str:
    return "".join(character for character in word.lower() if character.isalnum())
