"""Decodes a recording in a process of its own, with limits: whatever a hostile file does, it is done to nobody else.

`python decoding.py FILE FOLDER` writes channel-0.pcm (and channel-1.pcm), 16 kHz, 16 bits, and one JSON line:
{"channels", "seconds", "damage": why it ends early, or null}. A file that is no recording ends it with one line on stderr and
code 2. It imports nothing of Storehand's, so that it starts at once and can be held to little memory.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLE_RATE = 16_000
MOST_HOURS = 3
MOST_MEMORY_BYTES = 2_000_000_000
MOST_CPU_SECONDS = 600
MOST_WAIT_SECONDS = 1200
_MOST_BYTES = MOST_HOURS * 3600 * SAMPLE_RATE * 2
# FFmpeg also opens play-lists, which name other files and addresses to read: only these containers are opened.
_CONTAINERS = "wav,w64,aiff,au,caf,mp3,flac,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aac,amr,asf"
_RATES = range(4_000, 400_000)
_GAP_SAMPLES = SAMPLE_RATE // 20
"""Time stamps that run ahead of the sound by more than this tell of sound that is missing: it becomes silence, so that nothing
drifts."""


class NoRecording(Exception):
    """The file holds no recording that can be used; the message tells why."""


@dataclass(frozen=True)
class Decoded:
    """Files of raw sound, one a channel; `damage` tells why the recording ends early."""

    channels: tuple[Path, ...]
    seconds: float
    damage: str | None


def decode_apart(recording: Path, folder: Path) -> Decoded:
    """Decode a recording of one or two channels into `folder`, in a child process that may use only so much. Raises
    NoRecording."""
    command = [sys.executable, "-P", __file__, str(recording), str(folder)]
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    try:
        done = subprocess.run(command, capture_output=True, env=environment, timeout=MOST_WAIT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoRecording(f"it took more than {MOST_WAIT_SECONDS // 60} minutes to decode") from error
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoRecording(
            told[-1]
            if done.returncode == 2 and told
            else f"decoding it was stopped (code {done.returncode}): damaged or hostile"
        )
    answer = json.loads(done.stdout)
    return Decoded(
        tuple(folder / f"channel-{number}.pcm" for number in range(answer["channels"])), answer["seconds"], answer["damage"]
    )


def main(recording: str, folder: str) -> None:
    """What the child process does."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * _MOST_BYTES, 2 * _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        print(json.dumps(_decode(Path(recording), Path(folder))))  # noqa: T201
    except NoRecording as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(2)


def _decode(recording: Path, folder: Path) -> dict[str, Any]:
    import av

    written, channels, damage = 0, 0, None
    files: list[Any] = []
    try:
        with (
            recording.open("rb") as data,
            av.open(data, metadata_errors="ignore", options={"format_whitelist": _CONTAINERS}) as container,
        ):
            if not container.streams.audio:
                raise NoRecording("it has no sound track")
            container.streams.audio[0].codec_context.thread_count = 1
            for part in _resampled(_frames(container)):
                if not files:
                    channels = len(part)
                    files = [(folder / f"channel-{number}.pcm").open("wb") for number in range(channels)]
                if len(part) != channels:
                    raise ValueError("the number of channels changes")
                for file, samples in zip(files, part, strict=True):
                    file.write(samples.tobytes())
                written += len(part[0])
                if 2 * written > _MOST_BYTES:
                    damage = f"only the first {MOST_HOURS} hours were read"
                    break
    except (av.FFmpegError, ValueError, MemoryError, OSError) as error:
        # A truncated file ends in an error; what came before it is heard.
        if not written:
            raise NoRecording(f"it is no recording that can be decoded ({str(error)[:120] or type(error).__name__})") from error
        damage = f"it breaks off after {written / SAMPLE_RATE:.1f} s ({str(error)[:120] or type(error).__name__})"
    finally:
        for file in files:
            file.close()
    if not written:
        raise NoRecording("it holds no sound")
    return {"channels": channels, "seconds": written / SAMPLE_RATE, "damage": damage}


def _frames(container: Any) -> Iterator[Any]:
    """The decoded frames of the first sound track; packets that cannot be decoded are left out."""
    import av

    for packet in container.demux(container.streams.audio[0]):
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            continue


def _resampled(frames: Iterator[Any]) -> Iterator[Any]:
    """16 kHz, 16 bits, shape (channels, samples); silence where time stamps tell that sound is missing."""
    import numpy as np
    from av.audio.resampler import AudioResampler

    resampler: Any = None
    form, written = None, 0
    for frame in frames:
        count = frame.layout.nb_channels
        if count > 2:
            raise NoRecording(f"it has {count} channels; export it with one speaker a channel, or in mono with a CSV of turns")
        if frame.sample_rate not in _RATES:
            raise ValueError(f"a sample rate of {frame.sample_rate} Hz")
        if form != (frame.format.name, frame.layout.name, frame.sample_rate):
            form = (frame.format.name, frame.layout.name, frame.sample_rate)
            resampler = AudioResampler(format="s16p", layout="mono" if count == 1 else "stereo", rate=SAMPLE_RATE)
        began = None if frame.pts is None or frame.time_base is None else int(frame.pts * frame.time_base * SAMPLE_RATE)
        missing = began - written if began is not None else 0
        if written and _GAP_SAMPLES < missing < _MOST_BYTES // 2 - written:
            for done in range(0, missing, SAMPLE_RATE):
                yield np.zeros((count, min(SAMPLE_RATE, missing - done)), np.int16)
            written += missing
        frame.pts = None
        for part in resampler.resample(frame):
            written += part.samples
            yield part.to_ndarray()
    if resampler:
        for part in resampler.resample(None):
            yield part.to_ndarray()


if __name__ == "__main__":
    main(*sys.argv[1:])
