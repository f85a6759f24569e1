"""Turn a customer's voice message into text, in English or Chinese, with Whisper on this machine.

A recording is decoded in a stream up to a limit, cut to its speech by Silero VAD, and read by Whisper in windows of 30
seconds: one encoding serves both the language and the text, at temperature 0, so the same recording gives the same text.
Source: Radford et al. 2022, arXiv:2212.04356; faster-whisper's decoding of it.
"""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import pad_or_trim
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray

from tools.kit.errors import UnreadableVoice, WeightsUnavailable
from tools.kit.facts import Fact, Facts
from tools.shop.types import Language

MAX_MEGABYTES = 20
MAX_SECONDS = 120
"""Longest recording that is listened to."""

SAMPLE_RATE = 16_000
_WINDOW_SAMPLES = 30 * SAMPLE_RATE
_SHORTEST_SAMPLES = 3 * SAMPLE_RATE // 10
# Whisper invents text where there is none, so less speech than this is dropped. Said alone, "stop" can be 190 ms long.
_SHORTEST_SPEECH_SAMPLES = 15 * SAMPLE_RATE // 100
_PADDING_SAMPLES = 4 * SAMPLE_RATE // 10
# Tight, so that a click is not counted as speech together with the silence behind it; the padding closes the pauses again.
_VAD = VadOptions(min_silence_duration_ms=100, speech_pad_ms=0, max_speech_duration_s=28)

# FFmpeg also opens play-lists, which name other files and addresses to read: only these containers are opened.
_CONTAINERS = "wav,w64,aiff,au,caf,mp3,flac,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aac,amr,asf"
_RATES = range(4_000, 400_000)

_FOREIGN = 0.5
_LOOP = 2.4

Sound = NDArray[np.float32]


@dataclass(frozen=True)
class Transcript:
    """What was said in a recording.

    `text` is empty where nobody speaks. `language` is None for silence and for other languages than English and Chinese;
    `detected` is then still Whisper's code ("fr"), and the text stands in that language. `speech_seconds` is the part of
    `seconds` (the recording's length) in which somebody speaks. `confidence`, 0 to 1, is the mean probability of a token.
    """

    text: str
    language: Language | None
    detected: str | None
    speech_seconds: float
    seconds: float
    confidence: float


class Transcriber:
    """A loaded Whisper model; safe to share between threads."""

    def __init__(self, model: WhisperModel) -> None:
        self._model = model

    def transcribe(self, recording: Path | bytes) -> Transcript:
        """Write down what is said in a recording.

        Any common audio file, told by its content; of a truncated one, what is there. Raises UnreadableVoice: voice_empty,
        voice_too_large (megabytes), voice_too_long (minutes), voice_unreadable.
        """
        sound = decode_recording(recording)
        seconds = len(sound) / SAMPLE_RATE
        speech = [(part["start"], part["end"]) for part in get_speech_timestamps(sound, _VAD)]
        speech_samples = sum(end - start for start, end in speech)
        if speech_samples < _SHORTEST_SPEECH_SAMPLES:
            return Transcript("", None, None, speech_samples / SAMPLE_RATE, seconds, 0.0)
        code: str | None = None
        texts: list[str] = []
        logprobs: list[float] = []
        for window in _windows(sound, speech):
            features = self._model.feature_extractor(window)[:, :-1]
            encoded = self._model.encode(pad_or_trim(features))
            code = code or self._spoken_language(encoded)
            text, logprob = self._write_down(encoded, code, len(window) / SAMPLE_RATE)
            if text:
                texts.append(text)
                logprobs.append(logprob)
        language: Language | None = "en" if code == "en" else "zh" if code == "zh" else None
        return Transcript(
            text=("" if code == "zh" else " ").join(texts),
            language=language if texts else None,
            detected=code if texts else None,
            speech_seconds=speech_samples / SAMPLE_RATE,
            seconds=seconds,
            confidence=math.exp(sum(logprobs) / len(logprobs)) if logprobs else 0.0,
        )

    def _spoken_language(self, encoded: Any) -> str:
        """Whisper's code of the language: English or Chinese, unless another one is more likely than all the rest."""
        shares: dict[str, float] = {token[2:-2]: share for token, share in self._model.model.detect_language(encoded)[0]}
        likeliest = max(shares, key=shares.__getitem__)
        if shares[likeliest] < _FOREIGN:
            return "en" if shares["en"] >= shares["zh"] else "zh"
        return likeliest

    def _write_down(self, encoded: Any, code: str, seconds: float) -> tuple[str, float]:
        """One window's text and the mean log-probability of its tokens; "" for what is no speech."""
        tokenizer = Tokenizer(self._model.hf_tokenizer, True, task="transcribe", language=code)
        tokens = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        # Nobody says more than 15 tokens a second: what is longer is a loop.
        longest = min(self._model.max_length, len(tokens) + 20 + int(15 * seconds))
        for without_repeats in (0, 3):
            result = self._model.model.generate(
                encoded,
                [tokens],
                beam_size=5,
                max_length=longest,
                no_repeat_ngram_size=without_repeats,
                return_scores=True,
                return_no_speech_prob=True,
            )[0]
            text = tokenizer.decode(result.sequences_ids[0]).strip()
            written = text.encode()
            if len(written) < _LOOP * len(zlib.compress(written)):
                break
        if code == "zh":
            text = text.translate(_SIMPLIFIED)
        return ("" if is_invented(text, result.no_speech_prob, result.scores[0]) else text), result.scores[0]


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


def transcribe_speech(transcriber: Transcriber, recording: Path | bytes) -> Facts:
    """Write down a customer's voice message: one fact, the transcript; none where nobody speaks.

    Raises UnreadableVoice as Transcriber.transcribe.
    """
    text = transcriber.transcribe(recording).text
    if not text:
        return Facts(facts=(), outcome="nothing_found")
    return Facts(facts=(Fact(text=text, source="voice"),))


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


def _windows(sound: Sound, speech: list[tuple[int, int]]) -> Iterator[Sound]:
    """The speech with a little of the silence around it, in pieces of at most 30 seconds cut between spoken parts."""
    window: list[Sound] = []
    for place, (start, end) in enumerate(speech):
        after = speech[place - 1][1] if place else 0
        before = speech[place + 1][0] if place + 1 < len(speech) else len(sound)
        first = max(start - _PADDING_SAMPLES, (after + start) // 2 if place else 0)
        last = min(end + _PADDING_SAMPLES, (end + before) // 2 if place + 1 < len(speech) else len(sound))
        if window and sum(map(len, window)) + last - first > _WINDOW_SAMPLES:
            yield np.concatenate(window)
            window = []
        window.append(sound[first:last])
    yield np.concatenate(window)
