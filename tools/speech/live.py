"""Speech that is written down while it goes on: partial text as the customer speaks, the final text as soon as they stop.

The sound is cut into windows as that of a recording is. What comes later changes only the last one: that one is read again and again,
and what two readings in a row agree on is shown as settled. As soon as a silence begins, all that was said is read, so that it is there
when the silence turns out to be the end; then, or when the customer says so, only what no reading has covered yet is left to be read.
Source: Macháček et al. 2023, arXiv:2307.14743 (LocalAgreement), on Whisper; Silero VAD for the end of speech.
"""

from collections import deque
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from tools.speech.hints import NO_HINTS, Hints
from tools.speech.numbers import bursts
from tools.speech.whisper import SAMPLE_RATE, Sound
from tools.transcribe_speech import (
    SHORTEST_SPEECH_SAMPLES,
    Heard,
    Reading,
    Transcriber,
    Transcript,
    speech_windows,
    spoken_parts,
    transcript_of,
)

END_SILENCE_S = 0.8
"""Silence after which somebody has finished speaking; shorter ones are for thinking."""
PAUSE_S = 0.1
"""Silence at which all that was said is read, in case it is the end."""
STEP_S = 0.6
"""New sound that is worth another reading while somebody speaks."""
_LOOK_BACK_S = 1


@dataclass(frozen=True)
class Partial:
    """The text so far; two readings in a row agree on its first `settled` characters."""

    text: str
    settled: int


class Listener:
    """One message as it is spoken. `hear` may be called while another thread is in `read` or `finish`, which take model time."""

    def __init__(self, transcriber: Transcriber, hints: Hints = NO_HINTS) -> None:
        self._transcriber, self._hints = transcriber, hints
        self._incoming: deque[bytes] = deque()
        self._sound: Sound = np.zeros(0, np.float32)
        self._heard: list[Heard] = []
        """The windows before the last one."""
        self._cut = 0
        """Where the last one begins."""
        self._speech: list[tuple[int, int]] = []
        """In the last one."""
        self._spoken_before_cut = 0
        self._reading: Reading | None = None
        self._read_to = 0
        self._text = ""
        self._final: Transcript | None = None

    def hear(self, pcm: bytes) -> None:
        """Take 16-bit little-endian samples, 16 kHz mono."""
        self._incoming.append(pcm)

    @property
    def has_ended(self) -> bool:
        """Whether somebody spoke and had finished when `read` was called last."""
        return self._is_speech and self._silence_s >= END_SILENCE_S

    @property
    def _is_speech(self) -> bool:
        return self._cut > 0 or sum(end - start for start, end in self._speech) >= SHORTEST_SPEECH_SAMPLES

    @property
    def _speech_end(self) -> int:
        return self._cut + self._speech[-1][1] if self._speech else self._cut

    @property
    def _silence_s(self) -> float:
        return (len(self._sound) - self._speech_end) / SAMPLE_RATE

    def read(self) -> Partial | None:
        """Read what is new, if it is worth it; None if it is not."""
        self._take()
        if not self._is_speech:
            return None
        is_silent = self._silence_s >= PAUSE_S
        if self._read_to >= self._speech_end:
            if not is_silent or self._final is not None:
                return None
            self._settle()
        elif is_silent or len(self._sound) - self._read_to >= STEP_S * SAMPLE_RATE:
            self._read()
        else:
            return None
        return self._partial()

    def finish(self) -> Transcript:
        """The text of all that was said: read already if the customer had fallen silent."""
        self._take()
        # The end-of-speech finder takes a soft word at the end for silence.
        loud = [self._cut + end for _, end in bursts(self._sound[self._cut :])[-1:]]
        if self._is_speech and self._read_to < max([self._speech_end, *loud]):
            self._read()
        return self._final or self._settle()

    def _take(self) -> None:
        """Look at the sound that has come."""
        frames = []
        while self._incoming:
            frames.append(self._incoming.popleft())
        if frames:
            # What ended a while ago stays; only what may still go on is looked at again.
            ended = [part for part in self._speech if part[1] < len(self._sound) - self._cut - _LOOK_BACK_S * SAMPLE_RATE]
            samples = np.frombuffer(b"".join(frames), "<i2").astype(np.float32) / np.float32(32768)
            self._sound = np.concatenate([self._sound, samples])
            at = ended[-1][1] if ended else 0
            self._speech = ended + [(at + start, at + end) for start, end in spoken_parts(self._sound[self._cut + at :])]

    def _read(self) -> None:
        """Read the last window, and for good those before it that have become complete."""
        self._final = None
        self._read_to = len(self._sound)
        windows = list(speech_windows(self._sound[self._cut :], self._speech))
        if not windows:  # a click after a long pause
            self._reading = None
            return
        *complete, (begin, window) = windows
        for _, each in complete:
            heard = self._transcriber.settle(self._transcriber.read(each, self._code, self._hints))
            self._heard += [heard] if heard.text else []
        self._spoken_before_cut += sum(end - start for start, end in self._speech if end <= begin)
        self._speech = [(start - begin, end - begin) for start, end in self._speech if end > begin]
        self._cut += begin
        self._reading = self._transcriber.read(window, self._code, self._hints)

    def _settle(self) -> Transcript:
        last = [self._transcriber.settle(self._reading)] if self._reading and self._reading.text else []
        spoken = self._spoken_before_cut + sum(end - start for start, end in self._speech)
        self._final = transcript_of([*self._heard, *last], spoken, len(self._sound))
        return self._final

    @property
    def _code(self) -> str | None:
        return self._heard[-1].code if self._heard else None

    def _partial(self) -> Partial:
        if self._final is not None:
            return Partial(self._final.text, len(self._final.text))
        last = [Heard(self._reading.text, self._reading.code, 0.0)] if self._reading and self._reading.text else []
        before, self._text = self._text, transcript_of([*self._heard, *last], 0, 0).text
        return Partial(self._text, _settled(before, self._text))


def _settled(before: str, now: str) -> int:
    """How much of the text is the same in both readings, in whole words."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, now, strict=False)))
    while 0 < same < len(now) and now[same - 1].isascii() and now[same - 1].isalnum() and now[same].isalnum():
        same -= 1
    return same
