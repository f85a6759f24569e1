"""Turn a customer's voice message into text, in English or Chinese, with Whisper on this machine.

A recording is decoded in a stream up to a limit, cut to its speech by Silero VAD, and read by Whisper in windows of 30
seconds: one encoding serves both the language and the text, at temperature 0, so the same recording gives the same text.
Source: Radford et al. 2022, arXiv:2212.04356; faster-whisper's decoding of it.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from faster_whisper import WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray

from tools.kit.errors import UnreadableVoice, WeightsUnavailable
from tools.kit.facts import Fact, Facts
from tools.shop.types import Language
from tools.speech.hints import NO_HINTS, Hints
from tools.speech.invented import is_invented, said_once, says_twice, trails_off, without_repeats
from tools.speech.numbers import bursts, cut_short, digits_of, doubtful_runs, hear_again, is_number
from tools.speech.whisper import SAMPLE_RATE, SHORT_WINDOW_S, TIGHT_WINDOW_S, WHOLE_WINDOW_S, Encoded, Sound, Whisper, Written
from tools.speech.written import as_written

__all__ = [
    "SAMPLE_RATE",
    "Heard",
    "Reading",
    "Sound",
    "Transcriber",
    "Transcript",
    "decode_recording",
    "load_transcriber",
    "speech_windows",
    "spoken_parts",
    "transcribe_speech",
    "transcript_of",
    "voice_facts",
]

MAX_MEGABYTES = 20
MAX_SECONDS = 120
"""Longest recording that is listened to."""

# As long as a sentence or two: what is said in one language, mostly.
_WINDOW_SAMPLES = 20 * SAMPLE_RATE
_WHOLE_SAMPLES = 13 * SAMPLE_RATE
_PAUSE_SAMPLES = 1 * SAMPLE_RATE
_BEFORE_PAUSE_SAMPLES = 5 * SAMPLE_RATE
_SHORTEST_SAMPLES = 3 * SAMPLE_RATE // 10
# Said alone, "stop" can be 190 ms long.
SHORTEST_SPEECH_SAMPLES = 15 * SAMPLE_RATE // 100
"""Whisper invents text where there is none, so less speech than this is dropped."""
_PADDING_SAMPLES = 4 * SAMPLE_RATE // 10
# Tight, so that a click is not counted as speech together with the silence behind it; the padding closes the pauses again.
_VAD = VadOptions(min_silence_duration_ms=100, speech_pad_ms=0, max_speech_duration_s=28)

# FFmpeg also opens play-lists, which name other files and addresses to read: only these containers are opened.
_CONTAINERS = "wav,w64,aiff,au,caf,mp3,flac,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aac,amr,asf"
_RATES = range(4_000, 400_000)

_SPELLED_OUT = re.compile(r"[A-Z](?:[-., ]*[A-Z]){3,}[.,]*")
"""Letters and nothing else: a name that was spelled."""
_SPELLING = "The name is spelled K-A-T-Z-M-A-N-N, and the next one P-R-I-Y-A-S-R-E-E."
"""Said to come before it, this has a spelled name written letter by letter, of which fewer are lost."""

_LETTERS_LOGPROB = -0.5
"""Below it a digit may have been heard as a letter or a short word."""

# A few digits alone are taken for many a language.
_FOREIGN = 0.8
_SWITCH = 0.8
# Below this mean log-probability what is read in a shorter window is worse than what is read in the usual one.
_SURE = {"en": -1.0, "zh": -0.3}
_SURE_OF_SHORT = -0.3
"""Above it English that was read in the usual window is right as often as what is read in a whole one, which takes twice the time."""
_AROUND_S = 0.15


@dataclass(frozen=True)
class Transcript:
    """What was said in a recording.

    `text` is empty where nobody speaks; numbers, sizes and the like stand in it as they would be typed. `language` is that of the most
    of it, None for silence and for other languages than English and Chinese; `detected` is then still Whisper's code ("fr"), and the
    text stands in that language. `speech_seconds` is the part of `seconds` (the recording's length) in which somebody speaks.
    `confidence`, 0 to 1, is the mean probability of a token. `doubtful` are numbers in the text of whose digits the recogniser is not
    sure.
    """

    text: str
    language: Language | None
    detected: str | None
    speech_seconds: float
    seconds: float
    confidence: float
    doubtful: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What one window was heard as at first, `code` being Whisper's of the language; a number in it is not made sure of yet."""

    window: Sound
    code: str
    encoded: Encoded
    written: Written

    @property
    def language(self) -> Language:
        """In which numbers and the like are said."""
        return "zh" if self.code == "zh" else "en"

    @property
    def text(self) -> str:
        """As it would have been typed."""
        if not self.written.text or (self.code not in ("en", "zh") and not self.is_number):
            return self.written.text
        return as_written(self.written.text, self.language)

    @property
    def is_number(self) -> bool:
        """Whether it is a number and nothing else."""
        # In Chinese what stands beside digits is a word: 「2003年」.
        is_unsure = self.language == "en" and self.written.logprob < _LETTERS_LOGPROB
        return is_number(self.written.text, self.language, self.window, is_unsure=is_unsure)


@dataclass(frozen=True)
class Heard:
    """One window, for good."""

    text: str
    code: str
    logprob: float
    doubtful: tuple[str, ...] = ()


class Transcriber:
    """A loaded Whisper model; safe to share between threads."""

    def __init__(self, model: WhisperModel) -> None:
        self._whisper = Whisper(model)

    @property
    def model(self) -> WhisperModel:
        """The model itself."""
        return self._whisper.model

    def transcribe(self, recording: Path | bytes, hints: Hints = NO_HINTS) -> Transcript:
        """Write down what is said in a recording. `hints` are the shop's own words.

        Any common audio file, told by its content; of a truncated one, what is there. Raises UnreadableVoice: voice_empty,
        voice_too_large (megabytes), voice_too_long (minutes), voice_unreadable.
        """
        return self.transcribe_sound(decode_recording(recording), hints)

    def transcribe_sound(self, sound: Sound, hints: Hints = NO_HINTS) -> Transcript:
        """The same for sound that is decoded already."""
        speech = spoken_parts(sound)
        heard: list[Heard] = []
        for _, window in speech_windows(sound, speech):
            each = self.settle(self.read(window, heard[-1].code if heard else None, hints))
            heard += [each] if each.text else []
        return transcript_of(heard, sum(end - start for start, end in speech), len(sound))

    def glance(
        self,
        window: Sound,
        before: str | None = None,
        hints: Hints = NO_HINTS,
        likely: str | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> tuple[Reading, bool] | None:
        """Hear one window in half the time or less, and whether that is as good as to `read` it: where the model is sure of it.

        `likely` is the language that its beginning was in. None where it is not wanted any more halfway.
        """
        is_foreign = likely not in (None, "en")
        encoded = self._whisper.encode(window, SHORT_WINDOW_S if is_foreign else TIGHT_WINDOW_S)
        code = spoken_language(self._whisper.languages(encoded), before)
        if code != "en" and not is_foreign:
            encoded = self._whisper.encode(window, SHORT_WINDOW_S)
        if not is_wanted():
            return None
        written = self._whisper.write_down(encoded, code, hints=hints.get(code, ""))
        # What a tight window says twice was said once.
        written = replace(written, text=said_once(written.text))
        is_sure = written.logprob >= _SURE.get(code, 0.0) and not says_twice(written.text) and not trails_off(written.text)
        return _reading(window, code, encoded, written), is_sure

    def read(self, window: Sound, before: str | None = None, hints: Hints = NO_HINTS) -> Reading:
        """Hear one window of speech_windows. `before` is Whisper's code of the language of the window before it."""
        encoded = short = self._whisper.encode(window)
        code = spoken_language(self._whisper.languages(encoded), before)
        if code != "en":
            # A shorter window costs Chinese a character in ten.
            encoded = self._whisper.encode(window, WHOLE_WINDOW_S)
        written = self._whisper.write_down(encoded, code, hints=hints.get(code, ""))
        if says_twice(written.text) or is_invented(written.text, written.silence, written.logprob):
            # What a short window makes nothing of, single digits above all, the whole one may.
            if code == "en":
                encoded = self._whisper.encode(window, WHOLE_WINDOW_S)
            written = self._whisper.write_down(encoded, code)
        elif code == "en" and written.logprob < _SURE_OF_SHORT:
            whole = self._whisper.encode(window, WHOLE_WINDOW_S)
            again = self._whisper.write_down(whole, code, hints=hints.get(code, ""))
            if again.logprob > written.logprob:
                encoded, written = whole, again
        if code == "en" and _SPELLED_OUT.fullmatch(written.text):
            again = self._whisper.write_down(short, code, before=_SPELLING)
            if _SPELLED_OUT.fullmatch(again.text):
                encoded, written = short, again
        return _reading(window, code, encoded, written)

    def settle(self, reading: Reading, *, soon: bool = False) -> Heard:
        """Make sure of the numbers in what was heard; `soon`: a number alone that has a digit for each burst of sound is only doubtful."""
        text, language, written = reading.text, reading.language, reading.written
        if not text or not any(map(str.isdigit, text)) or (reading.code not in ("en", "zh") and not reading.is_number):
            return Heard(text, reading.code, written.logprob)
        if reading.is_number and soon and len(digits := digits_of(text, language)) == len(bursts(reading.window)):
            return Heard(digits, reading.code, written.logprob, (digits,))
        if reading.is_number:
            text, sure = hear_again(self._whisper, reading.window, written.text, language)
            return Heard(text, reading.code, written.logprob, () if sure else (text,))
        doubtful: list[str] = []
        words = self._whisper.words(reading.encoded, written, reading.code)

        def again(digits: str, start_s: float, end_s: float) -> tuple[str, bool]:
            first, last = (int(at * SAMPLE_RATE) for at in (start_s - _AROUND_S, end_s + _AROUND_S))
            return hear_again(self._whisper, reading.window[max(0, first) : last], digits, language)

        for digits, word, start_s, end_s in cut_short(words) if language == "en" else ():
            longer, sure = again(digits, start_s, end_s)
            if sure and len(longer) == len(digits) + 1 and longer.startswith(digits):
                text = re.sub(rf"{digits}\W+{word}\b", longer, text, flags=re.I)
                doubtful.append(longer)
        for digits, start_s, end_s in doubtful_runs(words, language):
            if digits in text and not any(digits in longer for longer in doubtful):
                better, sure = again(digits, start_s, end_s)
                # A piece out of a sentence is heard less well than the sentence: only what is as long takes its place.
                better = better if len(better) == len(digits) else digits
                text = text.replace(digits, better)
                doubtful += [] if sure and better == digits else [better]
        return Heard(text, reading.code, written.logprob, tuple(doubtful))


def spoken_parts(sound: Sound) -> list[tuple[int, int]]:
    """Where somebody speaks, in samples, by Silero VAD."""
    return [(part["start"], part["end"]) for part in get_speech_timestamps(sound, _VAD)]


def transcript_of(heard: Sequence[Heard], speech_samples: int, samples: int) -> Transcript:
    """The windows of a recording in which words were heard, put together."""
    speech_s, seconds = speech_samples / SAMPLE_RATE, samples / SAMPLE_RATE
    if not heard:
        return Transcript("", None, None, speech_s, seconds, 0.0)
    code = Counter({each.code: len(each.text) for each in heard}).most_common(1)[0][0]
    text = heard[0].text
    for before, after in pairwise(heard):
        text += ("" if before.code == after.code == "zh" else " ") + after.text
    return Transcript(
        text=without_repeats(text),
        language="en" if code == "en" else "zh" if code == "zh" else None,
        detected=code,
        speech_seconds=speech_s,
        seconds=seconds,
        confidence=math.exp(sum(each.logprob for each in heard) / len(heard)),
        doubtful=tuple(number for each in heard for number in each.doubtful),
    )


def _reading(window: Sound, code: str, encoded: Encoded, written: Written) -> Reading:
    if is_invented(written.text, written.silence, written.logprob):
        written = Written("", (), written.logprob, written.silence)
    return Reading(window, code, encoded, written)


def spoken_language(shares: dict[str, float], before: str | None) -> str:
    """Whisper's code of the language: English or Chinese, unless another one is more likely than all the rest.

    `before` is the language of what was said before: a few words do not change it unless they are clear.
    """
    likeliest = max(shares, key=shares.__getitem__)
    if before is not None and shares[likeliest] < _SWITCH:
        return before
    if shares[likeliest] < _FOREIGN:
        return "en" if shares["en"] >= shares["zh"] else "zh"
    return likeliest


def load_transcriber(folder: Path, threads: int) -> Transcriber:
    """Load a Whisper model in CTranslate2's format in 8-bit integers on `threads` cores.

    Raises WeightsUnavailable where `folder` lacks a file or holds another kind of model.
    """
    # Without tokenizer.json faster-whisper would ask a model hub for one.
    missing = [name for name in ("model.bin", "config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise WeightsUnavailable(f"'{folder}' has no {', '.join(missing)}; run \"storehand weights\" to see what is there.")
    try:
        model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
    except (RuntimeError, ValueError) as error:
        raise WeightsUnavailable(
            f"'{folder}' holds no Whisper model that CTranslate2 reads ({error}); fetch it anew."
        ) from error
    if not model.model.is_multilingual:
        raise WeightsUnavailable(f"the Whisper model in '{folder}' knows English only; name a multilingual one.")
    return Transcriber(model)


def transcribe_speech(transcriber: Transcriber, recording: Path | bytes, hints: Hints = NO_HINTS) -> Facts:
    """Write down a customer's voice message: one fact, the transcript; none where nobody speaks.

    Raises UnreadableVoice as Transcriber.transcribe.
    """
    return voice_facts(transcriber.transcribe(recording, hints))


def voice_facts(transcript: Transcript) -> Facts:
    """What a customer said, as a fact; none where nobody speaks."""
    if not transcript.text:
        return Facts(facts=(), outcome="nothing_found")
    return Facts(facts=(Fact(text=transcript.text, source="voice"),))


def decode_recording(recording: Path | bytes) -> Sound:
    """Decode a recording to 16 kHz mono in [-1, 1], shape (samples,), at most MAX_SECONDS of it.

    Works in a stream and stops at the limit, whatever the file's header says. Raises UnreadableVoice as
    Transcriber.transcribe.
    """
    too_large = UnreadableVoice("voice_too_large", megabytes=MAX_MEGABYTES)
    if isinstance(recording, Path):
        try:
            with recording.open("rb") as file:
                recording = file.read(MAX_MEGABYTES * 1_000_000 + 1)
        except OSError as error:
            raise UnreadableVoice("voice_unreadable") from error
    if not recording:
        raise UnreadableVoice("voice_empty")
    if len(recording) > MAX_MEGABYTES * 1_000_000:
        raise too_large
    parts: list[NDArray[np.int16]] = []
    samples = 0
    try:
        with av.open(BytesIO(recording), metadata_errors="ignore", options={"format_whitelist": _CONTAINERS}) as container:
            for frame in _resampled(_frames(container)):
                parts.append(frame)
                samples += len(frame)
                if samples > MAX_SECONDS * SAMPLE_RATE:
                    raise UnreadableVoice("voice_too_long", minutes=MAX_SECONDS // 60)
    except (av.FFmpegError, ValueError, MemoryError) as error:
        # A truncated file ends in an error; what came before it is heard.
        if samples < _SHORTEST_SAMPLES:
            raise UnreadableVoice("voice_unreadable") from error
    if samples < _SHORTEST_SAMPLES:
        raise UnreadableVoice("voice_empty")
    return np.concatenate(parts).astype(np.float32) / np.float32(32768)


def _frames(container: Any) -> Iterator[AudioFrame]:
    """The decoded frames of the first sound track; packets that cannot be decoded are left out."""
    if not container.streams.audio:
        raise ValueError("no sound track")
    decoded = False
    damage: av.FFmpegError | None = None
    for packet in container.demux(container.streams.audio[0]):
        try:
            for frame in packet.decode():
                decoded = True
                yield frame
        except av.InvalidDataError as error:
            damage = error
    if damage and not decoded:
        raise damage


def _resampled(frames: Iterator[AudioFrame]) -> Iterator[NDArray[np.int16]]:
    resampler: AudioResampler | None = None
    form: tuple[str, str, int] | None = None
    for frame in frames:
        if frame.sample_rate not in _RATES:
            raise ValueError(f"a sample rate of {frame.sample_rate} Hz")
        if form != (frame.format.name, frame.layout.name, frame.sample_rate):
            form = (frame.format.name, frame.layout.name, frame.sample_rate)
            resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        assert resampler is not None
        frame.pts = None  # Gaps in time stamps are errors to the resampler.
        for part in resampler.resample(frame):
            yield part.to_ndarray()[0]
    if resampler:
        for part in resampler.resample(None):
            yield part.to_ndarray()[0]


def speech_windows(sound: Sound, speech: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Sound]]:
    """The speech with a little of the silence around it, in pieces cut between spoken parts, each with the sample it begins at.

    `speech` are the spoken_parts. What comes after a sound changes only the last piece of it, and a short sound is one piece.
    """
    if sum(end - start for start, end in speech) < SHORTEST_SPEECH_SAMPLES:
        return
    if len(sound) <= _WHOLE_SAMPLES:
        # Silero takes a soft digit at the beginning or the end for silence.
        yield 0, sound
        return
    window: list[Sound] = []
    began = 0
    for place, (start, end) in enumerate(speech):
        after = speech[place - 1][1] if place else 0
        before = speech[place + 1][0] if place + 1 < len(speech) else len(sound)
        first = max(start - _PADDING_SAMPLES, (after + start) // 2 if place else 0)
        last = min(end + _PADDING_SAMPLES, (end + before) // 2 if place + 1 < len(speech) else len(sound))
        length = sum(map(len, window))
        # After a long pause somebody else may go on, in another language.
        is_pause = start - after > _PAUSE_SAMPLES and length > _BEFORE_PAUSE_SAMPLES
        if window and (is_pause or length + last - first > _WINDOW_SAMPLES):
            yield began, np.concatenate(window)
            window = []
        if not window:
            began = first
        window.append(sound[first:last])
    yield began, np.concatenate(window)
