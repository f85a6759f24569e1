import json
import tracemalloc
import wave
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from platformdirs import user_cache_path

from tools.kit.errors import UnreadableVoice, WeightsUnavailable
from tools.speech.whisper import Whisper
from tools.transcribe_speech import (
    MAX_SECONDS,
    SAMPLE_RATE,
    Transcriber,
    decode_recording,
    load_transcriber,
    transcribe_speech,
)

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
WEIGHTS = user_cache_path("storehand") / "weights" / "whisper-base"
RANDOM = np.random.default_rng(7)

Sound = NDArray[np.floating[Any]]


def wav(sound: Sound, rate: int = SAMPLE_RATE, channels: int = 1) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((sound * 32767).astype("<i2").tobytes())
    return file.getvalue()


def encoded(sound: Sound | list[Sound], container: str, codec: str, rate: int) -> bytes:
    """A recording of `sound`, or of pieces of it one after the other."""
    pieces = sound if isinstance(sound, list) else np.array_split(sound, max(1, len(sound) // SAMPLE_RATE))
    file = BytesIO()
    with av.open(file, "w", format=container) as out:
        track = out.add_stream(codec, rate=rate, layout="mono")
        for piece in pieces:
            frame = av.AudioFrame.from_ndarray((piece * 32767).astype("<i2")[None], format="s16", layout="mono")
            frame.rate = SAMPLE_RATE
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return file.getvalue()


def tone(seconds: float) -> Sound:
    return 0.3 * np.sin(np.arange(int(seconds * SAMPLE_RATE)) * 2 * np.pi * 440 / SAMPLE_RATE)


def clicks(seconds: float) -> Sound:
    sound = np.zeros(int(seconds * SAMPLE_RATE))
    sound[:: SAMPLE_RATE // 2] = 0.9
    return sound


WITHOUT_SPEECH = {
    "silence": np.zeros(3 * SAMPLE_RATE),
    "soft noise": RANDOM.normal(0, 0.01, 3 * SAMPLE_RATE),
    "loud noise": np.clip(RANDOM.normal(0, 0.3, 3 * SAMPLE_RATE), -1, 1),
    "clicks": clicks(3),
    "a tone": tone(3),
    "a hum": 0.2 * np.sin(np.arange(3 * SAMPLE_RATE) * 2 * np.pi * 50 / SAMPLE_RATE),
}


@pytest.fixture
def deaf() -> Transcriber:
    """A transcriber without a model: what reaches Whisper fails."""
    return Transcriber(None)


def refusal(recording: Path | bytes) -> UnreadableVoice:
    with pytest.raises(UnreadableVoice) as error:
        decode_recording(recording)
    return error.value


@pytest.mark.parametrize("sound", WITHOUT_SPEECH.values(), ids=WITHOUT_SPEECH.keys())
def test_a_recording_without_speech_never_reaches_the_model_and_gives_an_empty_transcript(
    deaf: Transcriber, sound: Sound
) -> None:
    transcript = deaf.transcribe(wav(sound))
    assert (transcript.text, transcript.language, transcript.confidence) == ("", None, 0.0)
    assert transcript.seconds == pytest.approx(3)


def test_silence_gives_no_fact(deaf: Transcriber) -> None:
    facts = transcribe_speech(deaf, wav(np.zeros(SAMPLE_RATE)))
    assert facts.facts == ()
    assert facts.outcome == "nothing_found"


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("ogg", "libopus", 48_000),
        ("webm", "libopus", 48_000),
        ("mp4", "aac", 16_000),
        ("3gp", "aac", 16_000),
        ("adts", "aac", 44_100),
        ("mp3", "libmp3lame", 16_000),
        ("flac", "flac", 16_000),
        ("mov", "pcm_s16le", 16_000),
    ],
)
def test_a_recording_of_each_common_kind_is_decoded(container: str, codec: str, rate: int) -> None:
    sound = decode_recording(encoded(tone(1), container, codec, rate))
    assert sound.dtype == np.float32
    assert len(sound) / SAMPLE_RATE == pytest.approx(1, abs=0.2)
    assert np.abs(sound).max() == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (48_000, 6)])
def test_any_rate_and_any_number_of_channels_become_16_khz_mono(rate: int, channels: int) -> None:
    sound = decode_recording(wav(np.zeros(rate * channels), rate, channels))
    assert sound.shape == (pytest.approx(SAMPLE_RATE, abs=100),)


def test_a_recording_is_told_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "voice.jpg"
    file.write_bytes(wav(tone(1)))
    assert len(decode_recording(file)) == SAMPLE_RATE


def test_of_a_truncated_recording_what_is_there_is_decoded() -> None:
    whole = encoded(tone(4), "mp3", "libmp3lame", 16_000)
    assert 1 < len(decode_recording(whole[: len(whole) // 2])) / SAMPLE_RATE < 3
    whole = wav(tone(4))
    assert len(decode_recording(whole[: len(whole) // 2])) / SAMPLE_RATE == pytest.approx(2, abs=0.1)


def test_damage_in_the_middle_of_a_recording_costs_only_that_part() -> None:
    damaged = bytearray(encoded(tone(4), "flac", "flac", 16_000))
    damaged[len(damaged) // 2 : len(damaged) // 2 + 40] = bytes(40)
    assert len(decode_recording(bytes(damaged))) / SAMPLE_RATE > 2


@pytest.mark.parametrize("recording", [b"", wav(np.zeros(0)), wav(np.zeros(SAMPLE_RATE // 10))])
def test_no_bytes_and_no_sound_are_an_empty_recording(recording: bytes) -> None:
    assert refusal(recording).key == "voice_empty"


def jpeg() -> bytes:
    file = BytesIO()
    Image.effect_noise((300, 300), 90).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    "recording",
    [
        jpeg(),
        b"where is my order? " * 100,
        np.random.default_rng(3).bytes(100_000),
        wav(tone(1))[:30],
        encoded(tone(2), "mp4", "aac", 16_000)[:6_000],
        wav(np.zeros(1_000), rate=1),
    ],
    ids=["a picture", "a text", "random bytes", "half a header", "MP4 without its index", "one sample a second"],
)
def test_what_is_no_recording_is_unreadable_whatever_its_name_says(recording: bytes, tmp_path: Path) -> None:
    file = tmp_path / "voice.wav"
    file.write_bytes(recording)
    assert refusal(file).key == "voice_unreadable"


def test_a_missing_file_and_a_folder_are_unreadable(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing.wav").key == "voice_unreadable"
    assert refusal(tmp_path).key == "voice_unreadable"


@pytest.mark.parametrize(
    "playlist", ["#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{}\n", "ffconcat version 1.0\nfile '{}'\n"]
)
def test_a_play_list_does_not_read_other_files(playlist: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(tone(1)))
    assert refusal(playlist.format(secret).encode()).key == "voice_unreadable"


@pytest.fixture(scope="module")
def hour() -> bytes:
    return encoded([np.zeros(SAMPLE_RATE)] * 3600, "flac", "flac", 16_000)


def test_an_hour_long_recording_is_refused_with_the_limit(hour: bytes) -> None:
    error = refusal(hour)
    assert (error.key, error.values) == ("voice_too_long", {"minutes": 2})


def test_decoding_stops_at_the_limit_and_so_needs_little_memory(hour: bytes) -> None:
    tracemalloc.start()
    refusal(hour)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MAX_SECONDS * SAMPLE_RATE, "two minutes are 3.8 MB, an hour is 115 MB"


def test_a_recording_of_the_permitted_length_is_kept_whole() -> None:
    assert len(decode_recording(wav(np.zeros(MAX_SECONDS * SAMPLE_RATE)))) == MAX_SECONDS * SAMPLE_RATE


def test_a_recording_of_too_many_bytes_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "voice.wav"
    with file.open("wb") as out:
        out.truncate(10_000_000_000)
    assert refusal(file).values == {"megabytes": 20}
    assert refusal(bytes(20_000_001)).key == "voice_too_large"


def test_missing_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    with pytest.raises(WeightsUnavailable, match=r"config\.json, tokenizer\.json"):
        load_transcriber(tmp_path, threads=1)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(WeightsUnavailable, match="no Whisper model"):
        load_transcriber(tmp_path, threads=1)


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    if not (WEIGHTS / "model.bin").is_file():
        pytest.skip(f"no weights in '{WEIGHTS}'")
    return load_transcriber(WEIGHTS, threads=2)


def spoken(folder: str, name: str) -> tuple[Path, str]:
    """A recording of the development data and what is said in it."""
    if not (DATA / folder).is_dir():
        pytest.skip("the development data are not here")
    for line in (DATA / folder / "transcripts.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if Path(row["audio"]).stem == name:
            return DATA / folder / row["audio"], row["text"]
    raise LookupError(name)


@pytest.mark.real
@pytest.mark.parametrize("name", ["SSB01120364", "SSB02460212", "SSB02000375"])
def test_mandarin_is_written_in_simplified_characters(transcriber: Transcriber, name: str) -> None:
    from eval.speech import character_error_rate

    recording, said = spoken("speech_aishell3", name)
    transcript = transcriber.transcribe(recording)
    assert (transcript.language, transcript.detected) == ("zh", "zh")
    assert character_error_rate([said], [transcript.text]) <= 0.2
    assert transcript.text.encode("gb2312")
    assert transcript.confidence > 0.5


@pytest.mark.real
@pytest.mark.parametrize("name", ["an108-mdxn-b", "an110-mdxn-b", "cen8-mmap-b", "cen3-mkdb-b", "cen1-meab-b"])
def test_english_commands_numbers_codes_and_spelled_names_are_written_down(transcriber: Transcriber, name: str) -> None:
    from eval.speech import word_error_rate

    recording, said = spoken("speech_an4", name)
    facts = transcribe_speech(transcriber, recording)
    assert facts.outcome == "found"
    assert facts.facts[0].source == "voice"
    assert word_error_rate([said], [facts.facts[0].text]) == 0


@pytest.mark.real
def test_the_language_of_english_speech_is_english(transcriber: Transcriber) -> None:
    recording, _ = spoken("speech_misc", "jfk")
    transcript = transcriber.transcribe(recording.read_bytes())
    assert transcript.language == "en"
    assert "ask not what your country can do for you" in transcript.text
    assert 5 < transcript.speech_seconds < transcript.seconds


@pytest.mark.real
def test_speech_longer_than_one_window_is_written_to_its_end(transcriber: Transcriber) -> None:
    from eval.speech import word_error_rate

    read = [spoken("speech_misc", f"LJ001-000{number}") for number in (1, 3, 4, 5, 7)]
    pause = np.zeros(2 * SAMPLE_RATE)
    sound = np.concatenate([part for recording, _ in read for part in (decode_recording(recording), pause)])
    transcript = transcriber.transcribe(wav(sound))
    assert transcript.seconds > 45
    assert word_error_rate([" ".join(said for _, said in read)], [transcript.text]) < 0.1


@pytest.mark.real
@pytest.mark.parametrize("sound", WITHOUT_SPEECH.values(), ids=WITHOUT_SPEECH.keys())
def test_the_loaded_model_writes_nothing_for_a_recording_without_speech(transcriber: Transcriber, sound: Sound) -> None:
    assert transcriber.transcribe(wav(sound)).text == ""


@pytest.mark.real
def test_the_first_half_of_a_truncated_recording_is_written_down(transcriber: Transcriber) -> None:
    recording, _ = spoken("speech_misc", "jfk")
    whole = encoded(decode_recording(recording), "mp3", "libmp3lame", 16_000)
    text = transcriber.transcribe(whole[: len(whole) * 55 // 100]).text.lower()
    assert "fellow americans" in text
    assert "what you can do for" not in text


def speech(*names: tuple[str, str], pause_s: float = 1.0) -> Sound:
    pause = np.zeros(int(pause_s * SAMPLE_RATE))
    return np.concatenate([part for name in names for part in (decode_recording(spoken(*name)[0]), pause)])


@pytest.mark.real
def test_a_change_of_language_in_one_recording_is_followed(transcriber: Transcriber) -> None:
    transcript = transcriber.transcribe(
        wav(speech(("speech_misc", "LJ001-0001"), ("speech_aishell3", "SSB02460212"), pause_s=2.0))
    )
    assert any("\u4e00" <= character <= "\u9fff" for character in transcript.text)
    assert "printing" in transcript.text.lower()


@pytest.mark.real
def test_every_word_has_its_time_and_confidence(transcriber: Transcriber) -> None:
    sound = decode_recording(spoken("speech_misc", "jfk")[0])
    reading = transcriber.read(sound)
    words = Whisper(transcriber.model).words(reading.encoded, reading.written, "en")
    assert "fellow" in [word.text.strip(" ,.").lower() for word in words]
    times = [(word.start_s, word.end_s) for word in words]
    assert times == sorted(times)
    assert times[-1][1] <= len(sound) / SAMPLE_RATE + 0.5
    assert all(0 < word.confidence <= 1 for word in words)


@pytest.mark.real
def test_an_order_number_read_out_over_the_telephone_is_written_in_digits(transcriber: Transcriber) -> None:
    from eval.speech import spoken_numbers

    if not (DATA / "speech_fsdd").is_dir():
        pytest.skip("the development data are not here")
    numbers = spoken_numbers(DATA / "speech_fsdd")[:3]
    heard = [transcriber.transcribe(number.recording) for number in numbers]
    assert sum(transcript.text == number.digits for transcript, number in zip(heard, numbers, strict=True)) >= 2
