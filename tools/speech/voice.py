"""Text-to-speech on this machine: a reply becomes sound, sentence by sentence, so that the first is heard while the rest is written.

A voice is anything with `say`. espeak-ng is the one that is always there (a Debian package; a robot's voice, and clear).
"""

import shutil
import subprocess
import wave
from collections.abc import Iterator
from io import BytesIO
from typing import Protocol

from tools.kit.errors import VoiceUnavailable
from tools.shop.types import Language
from tools.speech.spoken import sentences, spoken

MOST_CHARACTERS = 1_000
"""Of one sentence; what is longer is no sentence of a reply's."""
_ESPEAK_VOICES: dict[Language, str] = {"en": "en-gb", "zh": "cmn"}
_ESPEAK = "espeak-ng"
_WORDS_A_MINUTE = 165
_LONGEST_S = 20
_HEADER_BYTES = 44


class Voice(Protocol):
    """Text-to-speech for both languages. `is_there` tells whether the engine is installed."""

    @property
    def is_there(self) -> bool: ...

    def say(self, text: str, language: Language) -> bytes:
        """The text as a WAV file. Raises VoiceUnavailable where the engine is missing or fails."""
        ...


class EspeakVoice:
    """Debian's espeak-ng, started anew for every sentence: about 20 ms each."""

    @property
    def is_there(self) -> bool:
        """Whether espeak-ng is installed."""
        return shutil.which(_ESPEAK) is not None

    def say(self, text: str, language: Language) -> bytes:
        """The text as a WAV file of 22,050 Hz."""
        program = shutil.which(_ESPEAK)
        if program is None:
            raise VoiceUnavailable("espeak-ng is not installed; replies are spoken after: apt-get install espeak-ng")
        # The text goes in by stdin: nothing in it can be taken for an option.
        command = [program, "--stdin", "--stdout", "-v", _ESPEAK_VOICES[language], "-s", str(_WORDS_A_MINUTE)]
        try:
            done = subprocess.run(
                command, input=text[:MOST_CHARACTERS].encode(), capture_output=True, timeout=_LONGEST_S, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise VoiceUnavailable(f"espeak-ng could not read a sentence aloud: {error}") from error
        if not done.stdout.startswith(b"RIFF"):
            raise VoiceUnavailable(f"espeak-ng gave no sound: {done.stderr.decode(errors='replace')[:200]}")
        return _with_length(done.stdout)


def _with_length(recording: bytes) -> bytes:
    """espeak-ng writes into a pipe before it knows the length: players refuse the header that it guesses."""
    with BytesIO() as whole:
        with wave.open(whole, "wb") as out:
            out.setparams((1, 2, int.from_bytes(recording[24:28], "little"), 0, "NONE", "not compressed"))
            out.writeframes(recording[_HEADER_BYTES:])
        return whole.getvalue()


def read_aloud(voice: Voice, pieces: Iterator[str], language: Language) -> Iterator[bytes]:
    """A reply that is still being written as WAV files, one a sentence, each as soon as its sentence is complete."""
    for sentence in sentences(pieces):
        if words := spoken(sentence, language):
            yield voice.say(words, language)
