"""Calls read out of recordings: two channels, one channel, an hour, and files that are none."""

import os
import resource
import shutil
import tracemalloc
import wave
from itertools import groupby
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from eval.replay import decoding
from eval.replay.call import Call, UnreadableCall
from eval.replay.decoding import NoRecording, decode_apart
from eval.replay.readers import find_calls, read_call
from eval.replay.spoken import make_calls
from tools.transcribe_speech import Transcript, decode_recording

SCRIPTS = Path(__file__).resolve().parents[3] / "eval" / "calls" / "spoken.en.yaml"
RATE = 8_000

pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng speaks the calls")


class Listening:
    """Hears how long a piece is, in place of a recogniser."""

    def transcribe(self, recording: bytes) -> Transcript:
        seconds = len(decode_recording(recording)) / 16_000
        return Transcript(f"{seconds:.1f} seconds", "en", "en", seconds, seconds, 0.9)


def read(path: Path) -> Call:
    return read_call(path, lambda: Listening())  # type: ignore[arg-type,return-value]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the calls, one of each kind of file, spoken."""
    folder = tmp_path_factory.mktemp("spoken")
    scripts = yaml.safe_load(SCRIPTS.read_text(encoding="utf-8"))
    some = folder / ".some.yaml"
    names = ("en-how-long", "en-cancel", "en-return", "en-dog")
    some.write_text(yaml.safe_dump([each for each in scripts if each["name"] in names]), encoding="utf-8")
    make_calls(some, folder)
    return folder


@pytest.fixture(scope="module")
def sentence(spoken: Path) -> NDArray[np.int16]:
    """A sentence at telephone rate."""
    with av.open(str(spoken / "en-cancel.flac")) as container:
        sound = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)])
    customer = sound[:, 1]
    loud = np.flatnonzero(np.abs(customer.astype(np.int32)) > 500)
    return customer[loud[0] : loud[0] + 2 * RATE]


def write_wav(file: Path, *channels: NDArray[np.int16]) -> Path:
    with wave.open(str(file), "wb") as writer:
        writer.setnchannels(len(channels))
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(np.stack(channels, axis=1).tobytes())
    return file


def write_flac(file: Path, sound: NDArray[np.int16]) -> Path:
    """`sound` has shape (2, samples)."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("flac", rate=RATE, layout="stereo")
        for first in range(0, sound.shape[1], 60 * RATE):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound[:, first : first + 60 * RATE].T.reshape(1, -1)), format="s16", layout="stereo"
            )
            frame.sample_rate, frame.pts = RATE, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file


def test_two_channels_are_two_speakers_whose_turns_follow_each_other(spoken: Path) -> None:
    for name, turns in {"en-how-long.wav": 6, "en-cancel.flac": 6, "en-return.mp3": 7}.items():
        call = read(spoken / name)
        assert [speaker for speaker, _ in groupby(each.speaker for each in call.utterances)] == (["agent", "customer"] * 4)[
            :turns
        ]
        assert all(each.channel == (0 if each.speaker == "agent" else 1) for each in call.utterances)
        starts = [each.start_ms or 0 for each in call.utterances]
        assert starts == sorted(starts)
        assert call.format == "recording"


def test_a_recording_is_told_by_its_content(spoken: Path, tmp_path: Path) -> None:
    shutil.copy(spoken / "en-dog.wav", tmp_path / "call.mp3")
    shutil.copy(spoken / "en-return.mp3", tmp_path / "call.json")
    assert len(read(tmp_path / "call.mp3").exchanges()) == 2
    assert len(read(tmp_path / "call.json").exchanges()) == 3


def test_times_do_not_drift_over_two_hours_and_little_memory_is_needed(tmp_path: Path, sentence: NDArray[np.int16]) -> None:
    sound = np.zeros((2, 7200 * RATE), np.int16)
    at = [5, 3600, 7190]
    for second in at:
        sound[0, second * RATE : second * RATE + len(sentence)] = sentence
        sound[1, (second + 3) * RATE : (second + 3) * RATE + len(sentence)] = sentence
    file = write_flac(tmp_path / "hours.flac", sound)
    del sound
    tracemalloc.start()
    call = read(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = sorted(1000 * (second + more) for second in at for more in (0, 3))
    assert [each.start_ms for each in call.utterances] == pytest.approx(expected, abs=200)
    assert peak < 50_000_000, "two hours of two channels are 461 MB"


def test_sound_that_is_missing_from_a_file_leaves_its_time(tmp_path: Path, sentence: NDArray[np.int16]) -> None:
    file = tmp_path / "gap.mkv"
    part = np.zeros((2, 4 * RATE), np.int16)
    part[0, RATE : RATE + len(sentence)] = sentence
    part[1, : RATE // 2] = sentence[: RATE // 2]
    with av.open(str(file), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="stereo")
        for start in (0, 60):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part.T.reshape(1, -1)), format="s16", layout="stereo")
            frame.sample_rate, frame.pts = RATE, start * RATE
            container.mux(stream.encode(frame))
    starts = [each.start_ms for each in read(file).utterances if each.channel == 0]
    assert starts == pytest.approx([1000, 61_000], abs=200)


def test_one_channel_needs_turns_beside_it(tmp_path: Path, sentence: NDArray[np.int16]) -> None:
    silence = np.zeros(RATE, np.int16)
    mono = np.concatenate([sentence, silence, sentence, silence])
    for name, channels in (("mono.wav", [mono]), ("same.wav", [mono, mono])):
        file = write_wav(tmp_path / name, *channels)
        with pytest.raises(UnreadableCall, match="both speakers in one channel"):
            read(file)
        turns = "speaker,start,end\nagent,0,2.2\ncustomer,2.8,5.4\nagent,99,100\n"
        file.with_suffix(".csv").write_text(turns, encoding="utf-8")
        call = read(file)
        assert [(each.speaker, each.start_ms) for each in call.utterances] == [("agent", 0), ("customer", 2800)]
        assert [problem.place for problem in call.problems] == [f"'{file.stem}.csv' line 4"]


def test_an_echo_on_the_other_channel_is_nobodys_turn(tmp_path: Path, sentence: NDArray[np.int16]) -> None:
    silence = np.zeros(RATE, np.int16)
    agent = np.concatenate([sentence, silence, np.zeros_like(sentence), silence])
    customer = np.concatenate([(sentence * 0.05).astype(np.int16), silence, sentence, silence])
    assert [each.channel for each in read(write_wav(tmp_path / "echo.wav", agent, customer)).utterances] == [0, 1]


def music(seconds: int) -> NDArray[np.int16]:
    time = np.arange(seconds * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (262.0, 330.0, 392.0))
    return (chord * 5000 * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * time))).astype(np.int16)


PLAYLIST = b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/secret.wav\n"


@pytest.mark.parametrize("name", ["silent", "music", "cut header", "noise bytes", "playlist", "liar", "six channels", "empty"])
def test_a_file_without_speech_is_refused_with_its_name(tmp_path: Path, sentence: NDArray[np.int16], name: str) -> None:
    file = tmp_path / "call.wav"
    if name == "silent":
        write_wav(file, np.zeros(9 * RATE, np.int16), np.zeros(9 * RATE, np.int16))
    elif name == "music":
        write_wav(file, music(9), np.zeros(9 * RATE, np.int16))
    elif name == "six channels":
        write_wav(file, *[np.roll(sentence, each) for each in range(6)])
    else:
        whole = write_wav(file, sentence, np.roll(sentence, RATE)).read_bytes()
        liar = whole[:4] + b"\xff\xff\xff\xff" + whole[8:24] + (2**31 - 1).to_bytes(4, "little") + whole[28:]
        written = {
            "cut header": whole[:30],
            "noise bytes": b"RIFF" + os.urandom(5000),
            "playlist": PLAYLIST,
            "liar": liar,
            "empty": b"",
        }
        file.write_bytes(written[name])
    with pytest.raises(UnreadableCall, match=r"'.*call\.wav'"):
        read(file)


def test_of_a_truncated_recording_what_is_there_is_read_and_the_rest_reported(spoken: Path, tmp_path: Path) -> None:
    whole = (spoken / "en-cancel.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.call.yaml").write_text("speakers: {channel 0: agent, channel 1: customer}\n", encoding="utf-8")
    call = read(tmp_path / "cut.flac")
    assert 1 < len(call.utterances) < 6


def test_decoding_is_held_to_its_memory_and_time(tmp_path: Path, spoken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MOST_WAIT_SECONDS", 0.01)
    with pytest.raises(NoRecording, match="decode"):
        decode_apart(spoken / "en-dog.wav", tmp_path)
    before = resource.getrlimit(resource.RLIMIT_AS)
    monkeypatch.undo()
    assert decode_apart(spoken / "en-dog.wav", tmp_path).damage is None
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_files_beside_a_recording_are_no_calls(spoken: Path) -> None:
    assert all(file.suffix in (".wav", ".flac", ".mp3") for file in find_calls([spoken]))
