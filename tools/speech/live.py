"""Speech that is written down while it goes on: partial text as the customer speaks, the final text as soon as they stop.

The sound is cut into windows as that of a recording is. What comes later changes only the last one: that one is read again and again,
quickly, and what two readings in a row agree on is shown as settled. As soon as the sound dips, between two words or at the end, all that
was said is read, so that it is there when the dip turns out to be the end; where nothing dips, now and then. A reading that the next dip
overtakes is dropped halfway. A quick reading is good enough where the model is sure of it; else, and where there is a number to make sure
of, more readings follow.
Source: Macháček et al. 2023, arXiv:2307.14743 (LocalAgreement), on Whisper; Silero VAD for the end of speech.
"""

from collections import deque
from collections.abc import Callable
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
"""Silence at which what was read quickly is read for good."""
DIP_S = 0.05
"""Quiet at which all that was said is read, in case it is the end: no longer than between two words."""
STEP_S = 1.0
"""New sound that is worth another reading while somebody speaks and nothing dips: a reading is in the way of the one at the end."""
_TAIL_S = 0.12
"""How much later than the sound the end-of-speech finder may put the end of it."""
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
        self._loud_end = 0
        self._spoken_before_cut = 0
        self._reading: Reading | None = None
        self._is_sure = False
        self._is_over = False
        self._read_to = 0
        self._text = ""
        self._final: Transcript | None = None

    def hear(self, pcm: bytes) -> None:
        """Take 16-bit little-endian samples, 16 kHz mono."""
        self._incoming.append(pcm)

    def end(self) -> None:
        """No more sound comes: a reading that is under way and lacks the end of it is of no use any more."""
        self._is_over = True

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
        if not self._lacks_the_end():
            if self._silence_s < PAUSE_S or self._final is not None:
                return None
            self._settle()
        elif self._quiet_s >= DIP_S or len(self._sound) - self._read_to >= STEP_S * SAMPLE_RATE:
            if not self._read(self._is_wanted):
                return None
        else:
            return None
        return self._partial()

    def finish(self) -> Transcript:
        """The text of all that was said: read already if the customer had fallen silent."""
        self._take()
        if self._lacks_the_end() and self._is_speech:
            self._read()
        return self._final or self._settle()

    def _lacks_the_end(self) -> bool:
        """Whether something was said that no reading covers."""
        # The end-of-speech finder takes a soft word at the end for silence, and some of the silence for speech.
        return self._read_to < max(self._loud_end, self._speech_end - int(_TAIL_S * SAMPLE_RATE))

    def _is_wanted(self) -> bool:
        """Whether a reading that is under way is still of use: nothing was said after it that is to be read at once."""
        self._take()
        return not (self._lacks_the_end() and (self._is_over or self._quiet_s >= DIP_S))

    @property
    def _quiet_s(self) -> float:
        return (len(self._sound) - self._loud_end) / SAMPLE_RATE

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
            loud = bursts(self._sound[self._cut :])
            self._loud_end = self._cut + (loud[-1][1] if loud else 0)

    def _read(self, is_wanted: Callable[[], bool] = lambda: True) -> bool:
        """Read the last window, and for good those before it that have become complete; whether it was wanted until the end."""
        self._final = None
        self._read_to = len(self._sound)
        windows = list(speech_windows(self._sound[self._cut :], self._speech))
        if not windows:  # a click after a long pause
            self._reading = None
            return True
        *complete, (begin, window) = windows
        for _, each in complete:
            heard = self._transcriber.settle(self._transcriber.read(each, self._code, self._hints))
            self._heard += [heard] if heard.text else []
        self._spoken_before_cut += sum(end - start for start, end in self._speech if end <= begin)
        self._speech = [(start - begin, end - begin) for start, end in self._speech if end > begin]
        self._cut += begin
        likely = self._reading.code if self._reading else self._code
        glanced = self._transcriber.glance(window, self._code, self._hints, likely, is_wanted)
        if glanced is None:
            self._read_to = 0
            return False
        self._reading, self._is_sure = glanced
        return True

    def _settle(self) -> Transcript:
        if self._reading and not self._is_sure:
            self._reading, self._is_sure = self._transcriber.read(self._reading.window, self._code, self._hints), True
        last = [self._transcriber.settle(self._reading, soon=True)] if self._reading and self._reading.text else []
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
