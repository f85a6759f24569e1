"""Makes recordings of calls from scripts: two voices of espeak-ng, a speaker on each channel of one file, and recorded clips
where a script has them.

    python -m eval.replay.spoken eval/calls/spoken.en.yaml FOLDER --data ../shared/data

A script is a YAML list of `{name, file: wav | flac | mp3, talk: [{agent | customer: words, clips?: [files]}]}`; what else it
has of a call (customer, at, expect) goes into NAME.call.yaml beside the recording.
"""

import io
import subprocess
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import typer
import yaml
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from eval.replay.readers.source import ABOUT
from tools.kit.errors import OperatorError
from tools.transcribe_speech import decode_recording

RATES = {"wav": 16_000, "flac": 8_000, "mp3": 22_050}
_CODECS = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame"}
_VOICES = {"agent": "en-gb", "customer": "en-us"}
_RATE = 16_000
_PAUSE = 6 * _RATE // 10
_GAP = 12 * _RATE // 100
_WORDS_A_MINUTE = 145


def make_calls(script: Path, folder: Path, data: Path | None = None) -> list[Path]:
    """Speak every call of a script into `folder`; those with clips are left out where `data` is not given. Returns the
    recordings."""
    made = []
    for each in yaml.safe_load(script.read_text(encoding="utf-8")):
        if data is None and any("clips" in line for line in each["talk"]):
            continue
        recording = folder / f"{each['name']}.{each['file']}"
        _write(recording, _spoken(each["talk"], data), each["file"])
        about = {name: each[name] for name in ("at", "customer", "expect") if name in each}
        about["speakers"] = {"channel 0": "agent", "channel 1": "customer"}
        (folder / f"{each['name']}{ABOUT}").write_text(yaml.safe_dump(about, allow_unicode=True), encoding="utf-8")
        made.append(recording)
    return made


def _spoken(talk: list[dict[str, Any]], data: Path | None) -> NDArray[np.int16]:
    """Both channels, shape (2, samples): one after the other, the other one silent meanwhile."""
    parts: list[tuple[int, NDArray[np.int16]]] = []
    for line in talk:
        speaker = "agent" if "agent" in line else "customer"
        files = [data / clip for clip in line.get("clips", ())] if data else []
        sounds = [_said(file) for file in files] or [_said(_speak(line[speaker], _VOICES[speaker]))]
        joined = np.concatenate([part for sound in sounds for part in (sound, np.zeros(_GAP, np.int16))])
        parts.append((0 if speaker == "agent" else 1, joined))
    whole = np.zeros((2, sum(len(part) + _PAUSE for _, part in parts)), np.int16)
    at = _PAUSE // 2
    for channel, part in parts:
        whole[channel, at : at + len(part)] = part
        at += len(part) + _PAUSE
    return whole


def _said(recording: Path | bytes) -> NDArray[np.int16]:
    return (decode_recording(recording) * 32767).astype(np.int16)


def _speak(words: str, voice: str) -> bytes:
    command = ["espeak-ng", "-v", voice, "-s", str(_WORDS_A_MINUTE), "--stdout", "--", words]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise OperatorError('no espeak-ng on this machine; install it ("apt install espeak-ng").') from error


def _write(file: Path, sound: NDArray[np.int16], form: str) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream: Any = container.add_stream(_CODECS[form], rate=RATES[form], layout="stereo")
        resampler = av.AudioResampler(
            format=stream.format, layout="stereo", rate=RATES[form], frame_size=stream.frame_size or 0
        )
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="s16p", layout="stereo")
        frame.sample_rate = _RATE
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    file.write_bytes(buffer.getvalue())


def main(
    script: Annotated[Path, typer.Argument(exists=True)],
    folder: Path,
    data: Annotated[Path | None, typer.Option(help="Folder with the recorded clips.")] = None,
) -> None:
    """Speak the calls of a script into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for made in make_calls(script, folder, data):
        typer.echo(str(made))


if __name__ == "__main__":
    typer.run(main)
