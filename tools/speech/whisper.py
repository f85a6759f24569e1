"""One loaded Whisper model: a few seconds of sound in, its words out, each with its time and how sure the model was of it.

It does not know what words mean, nor where speech begins and ends. Whisper was trained on windows of 30 seconds. It reads one of 15 as
well in a third of the time, Chinese a little worse. In a shorter one, half as long again to read, it begins to say things twice and makes
more mistakes, but knows where it may have; with silence put before the sound it loses words.
Source: Radford et al. 2022, arXiv:2212.04356; faster-whisper's decoding and alignment.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import pad_or_trim
from numpy.typing import NDArray

from tools.speech.simplified import simplified

Sound = NDArray[np.float32]
"""16 kHz mono in [-1, 1], shape (samples,)."""
SAMPLE_RATE = 16_000
LONGEST_S = 29
"""Of one window."""

_ROOM_S = 1.0
TIGHT_WINDOW_S = 7.5
SHORT_WINDOW_S = 15.0
WHOLE_WINDOW_S = 30.0
_FRAMES_A_SECOND = 100
_LOOP = 2.4
_HINT_TOKENS = 80
_READINGS = 8
_MOST_DIGITS = 24
_NUMBER_PROMPT = " 3 8 1 0 5, 2 9 4 7 6, 5 5 0 1 8 8."


@dataclass(frozen=True)
class Word:
    """A word as it was heard, with punctuation; seconds from the sound's beginning; `confidence` is the model's, 0 to 1."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True)
class Encoded:
    """A window as the model sees it, and how long what was said in it is."""

    features: Any
    seconds: float


@dataclass(frozen=True)
class Written:
    """The text of a window; `logprob` is the mean log-probability of its tokens, `silence` the model's of there being no speech."""

    text: str
    tokens: tuple[int, ...]
    logprob: float
    silence: float


class Whisper:
    """Safe to share between threads."""

    def __init__(self, model: WhisperModel) -> None:
        self.model = model

    def encode(self, sound: Sound, window_s: float = SHORT_WINDOW_S) -> Encoded:
        """Look at up to LONGEST_S seconds of sound, in a window of at least `window_s`; what is longer is cut off."""
        sound = sound[: LONGEST_S * SAMPLE_RATE]
        seconds = len(sound) / SAMPLE_RATE
        window_s = min(max(seconds + _ROOM_S, window_s), WHOLE_WINDOW_S)
        features = self.model.feature_extractor(sound)[:, :-1]
        # Whisper halves the frames: an even number of them.
        return Encoded(self.model.encode(pad_or_trim(features, 2 * round(window_s * _FRAMES_A_SECOND / 2))), seconds)

    def languages(self, encoded: Encoded) -> dict[str, float]:
        """The share of each language, by Whisper's code."""
        return {token[2:-2]: share for token, share in self.model.model.detect_language(encoded.features)[0]}

    def write_down(self, encoded: Encoded, language: str, *, hints: str = "", before: str = "", beam: int = 5) -> Written:
        """What is said. `hints` are words that may be heard, `before` is what was said before the window."""
        tokenizer = self._tokenizer(language)
        prompt = [*self._hint_tokens(tokenizer, hints), *tokenizer.encode(" " + before.strip())[-_HINT_TOKENS:]] if before else (
            self._hint_tokens(tokenizer, hints)
        )  # fmt: skip
        for without_repeats in (0, 3):
            written = self._generate(encoded, tokenizer, prompt, beam_size=beam, no_repeat_ngram_size=without_repeats)
            spelled = written.text.encode()
            if len(spelled) < _LOOP * len(zlib.compress(spelled)):
                break
        return written

    def write_digits(self, encoded: Encoded, language: str, count: int) -> str:
        """What is said if it is nothing but digits; of the likeliest readings the first one of `count` digits, if there is one."""
        tokenizer = self._tokenizer(language)
        tokens = [tokenizer.sot_prev, *tokenizer.encode(_NUMBER_PROMPT), *tokenizer.sot_sequence, tokenizer.no_timestamps]
        result = self.model.model.generate(
            encoded.features,
            [tokens],
            beam_size=_READINGS,
            num_hypotheses=_READINGS,
            max_length=len(tokens) + _MOST_DIGITS,
            suppress_tokens=self._no_digits,
        )[0]
        readings: list[str] = [
            tokenizer.decode([token for token in ids if token < tokenizer.eot]).replace(" ", "") for ids in result.sequences_ids
        ]
        return next((digits for digits in readings if len(digits) == count), readings[0])

    def words(self, encoded: Encoded, written: Written, language: str) -> tuple[Word, ...]:
        """The words of a window's text with their times."""
        if not written.tokens:
            return ()
        frames = int(encoded.seconds * _FRAMES_A_SECOND)
        aligned: list[dict[str, Any]] = self.model.find_alignment(
            self._tokenizer(language), [list(written.tokens)], encoded.features, max(frames, 2)
        )[0]
        return tuple(
            Word(
                each["word"],
                float(each["start"]),
                float(each["end"]),
                float(each["probability"]),
            )
            for each in aligned
            if each["word"].strip()
        )

    def _generate(self, encoded: Encoded, tokenizer: Tokenizer, prompt: Sequence[int], **how: Any) -> Written:
        tokens = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        if prompt:
            tokens = [tokenizer.sot_prev, *prompt, *tokens]
        # Nobody says more than 15 tokens a second: what is longer is a loop.
        longest = min(self.model.max_length, len(tokens) + 20 + int(15 * encoded.seconds))
        result = self.model.model.generate(
            encoded.features, [tokens], max_length=longest, return_scores=True, return_no_speech_prob=True, **how
        )[0]
        written = tuple(token for token in result.sequences_ids[0] if token < tokenizer.eot)
        text = tokenizer.decode(list(written)).strip()
        if tokenizer.language_code == "zh":
            text = simplified(text)
        return Written(text, written, float(result.scores[0]), float(result.no_speech_prob))

    def _tokenizer(self, language: str) -> Tokenizer:
        return Tokenizer(self.model.hf_tokenizer, True, task="transcribe", language=language)

    def _hint_tokens(self, tokenizer: Tokenizer, hints: str) -> list[int]:
        tokens: list[int] = tokenizer.encode(" " + hints.strip())[:_HINT_TOKENS] if hints else []
        return tokens

    @cached_property
    def _no_digits(self) -> list[int]:
        """Every token but the ten digits after a space, and the end."""
        tokenizer = self._tokenizer("en")
        digits = {tokenizer.encode(f" {digit}")[0] for digit in range(10)}
        return [token for token in range(tokenizer.timestamp_begin) if token not in digits and token != tokenizer.eot]
