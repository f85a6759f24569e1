"""Live speech over a real WebSocket, with the real end of speech and a recogniser that says what it is told."""

import json
import re
import shutil
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accessibility import check_axe
from conftest import CHROMIUM
from counter import Counter
from visits import Visit
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tools.speech.voice import EspeakVoice
from tools.speech.whisper import SAMPLE_RATE, Encoded, Sound, Written
from tools.transcribe_speech import Heard, Reading, decode_recording

FRAME = 3200
"""100 ms."""
SILENCE = bytes(FRAME)
HEARD = "where is my order 4217"


class Hearing:
    """Hears two words a second, and makes sure of the number in them when asked."""

    def __init__(self) -> None:
        self.settled: list[str] = []

    def glance(
        self, window: Sound, before: str | None, hints: object, likely: str | None, is_wanted: object
    ) -> tuple[Reading, bool]:
        text = " ".join(HEARD.split()[: int(2 * len(window) / SAMPLE_RATE)])
        return Reading(window, "en", Encoded(None, 0.0), Written(text, (), -0.1, 0.0)), True

    def settle(self, reading: Reading, soon: bool = False) -> Heard:
        self.settled.append(reading.text)
        return Heard(HEARD, "en", -0.1, ("4217",))


@pytest.fixture(scope="session")
def spoken() -> bytes:
    """A sentence as 16 kHz PCM, without the silence behind it."""
    if not EspeakVoice().is_there:
        pytest.skip("espeak-ng is not installed: apt-get install espeak-ng")
    sound = decode_recording(EspeakVoice().say("where is my order four two one seven", "en"))
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    pcm: bytes = (sound[: int(loud[-1])] * 32767).astype("<i2").tobytes()
    return pcm


@contextmanager
def speaking(counter: Counter, first: object) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{counter.port}/v1/live", proxy=None) as socket:
        socket.send(json.dumps(first))
        yield socket


def told(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=10))
    return message


def play(socket: ClientConnection, pcm: bytes, speed: float = 1.0) -> None:
    for start in range(0, len(pcm), FRAME):
        with suppress(ConnectionClosed):  # the end of speech was found
            socket.send(pcm[start : start + FRAME])
        time.sleep(0.1 / speed)


def close_code(socket: ClientConnection) -> int:
    with suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=10)
    code: int = socket.close_code
    return code


def test_partial_text_comes_while_the_customer_speaks_and_the_final_text_after_a_silence(
    counter: Counter, visit: Visit, spoken: bytes
) -> None:
    counter.hears = Hearing()
    with speaking(counter, {"session": visit.session}) as socket:
        assert told(socket) == {"type": "ready"}
        play(socket, spoken, speed=2)
        play(socket, SILENCE * 12, speed=4)
        messages = [told(socket)]
        while messages[-1]["type"] != "final":
            messages.append(told(socket))
        *partials, final = messages
        assert final == {"type": "final", "text": HEARD, "language": "en", "doubtful": ["4217"]}
        assert len(partials) >= 2
        assert HEARD.startswith(partials[0]["text"])
        assert all(before["settled"] <= after["settled"] for before, after in pairwise(partials))
        assert close_code(socket) == 1000
    # The number was made sure of once: in the silence, before it was long enough to be the end.
    assert len(counter.hears.settled) == 1


def test_a_button_ends_the_speech_at_once(counter: Counter, visit: Visit, spoken: bytes) -> None:
    counter.hears = Hearing()
    with speaking(counter, {"session": visit.session}) as socket:
        told(socket)
        play(socket, spoken, speed=3)
        socket.send(json.dumps({"type": "end"}))
        while (message := told(socket))["type"] != "final":
            assert message["type"] == "partial"
        assert message["text"] == HEARD


def test_cancelled_speech_gives_no_text(counter: Counter, visit: Visit) -> None:
    counter.hears = Hearing()
    with speaking(counter, {"session": visit.session}) as socket:
        told(socket)
        socket.send(SILENCE)
        socket.send(json.dumps({"type": "cancel"}))
        assert close_code(socket) in (1000, 1005)
    assert counter.hears.settled == []


@pytest.mark.parametrize(("first", "code"), [({"session": "forged"}, 4401), ({}, 4400), (["session"], 4400)])
def test_nobody_is_listened_to_without_a_session(counter: Counter, first: object, code: int) -> None:
    with speaking(counter, first) as socket:
        assert close_code(socket) == code


@pytest.mark.parametrize(
    ("frames", "code"),
    [([b"odd"], 4400), ([SILENCE * 9] * 12, 4429), (["{}"], 4400), ([bytes(40_000)], 1009)],
    ids=["half a sample", "faster than anybody speaks", "an unknown word", "a huge frame"],
)
def test_what_no_microphone_sends_closes_the_socket(counter: Counter, visit: Visit, frames: list[Any], code: int) -> None:
    counter.hears = Hearing()
    with speaking(counter, {"session": visit.session}) as socket:
        told(socket)
        for frame in frames:
            socket.send(frame)
        assert close_code(socket) == code


def test_a_sentence_is_read_aloud(counter: Counter, visit: Visit) -> None:
    if not EspeakVoice().is_there:
        pytest.skip("espeak-ng is not installed: apt-get install espeak-ng")
    assert visit.opened["voice"] is True
    answer = visit.http.post("/v1/speech", json={"text": "Order 1042 costs $19.99.", "language": "en"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    assert answer.content.startswith(b"RIFF")
    assert visit.http.post("/v1/speech", json={"text": "…", "language": "en"}).status_code == 204
    visit.http.headers.pop("Authorization")
    assert visit.http.post("/v1/speech", json={"text": "Hello.", "language": "en"}).status_code == 401


def test_without_an_engine_the_answer_says_what_to_install(
    counter: Counter, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    answer = visit.http.post("/v1/speech", json={"text": "Hello.", "language": "en"})
    assert answer.status_code == 503
    assert "espeak-ng" in answer.json()["error"]["message"]


@pytest.fixture
def page(spoken: bytes, counter: Counter, tmp_path: Path) -> Iterator[Any]:
    """The demo page in a browser whose microphone hears the sentence."""
    sync_api = pytest.importorskip("playwright.sync_api")
    program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with wave.open(str(tmp_path / "said.wav"), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(bytes(SAMPLE_RATE) + spoken + bytes(6 * SAMPLE_RATE))
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--autoplay-policy=no-user-gesture-required",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={tmp_path / 'said.wav'}%noloop",
            ],
        )
        page = browser.new_context(permissions=["microphone"]).new_page()
        page.set_default_timeout(15_000)
        page.goto(counter.url)
        page.get_by_role("button", name=re.compile("Open the chat")).click()
        yield page
        browser.close()


def test_the_customer_speaks_into_the_message_corrects_and_sends_it_and_hears_the_answer(counter: Counter, page: Any) -> None:
    counter.hears = Hearing()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    field = page.get_by_role("textbox", name="Your message")
    page.get_by_role("button", name="Speak instead of typing").click()
    page.get_by_role("button", name="Listening").wait_for()
    check_axe(page)
    page.get_by_role("button", name="Speak instead of typing").wait_for()
    assert field.input_value() == HEARD
    field.fill(HEARD.replace("4217", "1042"))
    field.press("Enter")
    with page.expect_response("**/v1/speech") as spoken_sentence:
        page.get_by_role("button", name="Read this aloud").last.click()
    assert spoken_sentence.value.headers["content-type"] == "audio/wav"
    page.get_by_role("button", name="Stop reading aloud").click()
    page.get_by_role("button", name="Read this aloud").last.wait_for()
    assert troubles == []
