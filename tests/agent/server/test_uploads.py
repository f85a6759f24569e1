"""Photos and recordings: taken by what they are, not by what they are called."""

import io
import os
import wave
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from counter import Counter
from PIL import Image
from visits import Visit, custom, types


def picture(form: str, **more: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, form, **more)
    return file.getvalue()


def recording() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(b"\0\0" * 8_000)
    return file.getvalue()


def send(visit: Visit, data: bytes, name: str = "x", kind: str = "application/octet-stream") -> Any:
    return visit.http.post("/v1/uploads", files={"file": (name, data, kind)})


def test_a_picture_is_taken_whatever_its_name(visit: Visit) -> None:
    for form in ("JPEG", "PNG", "WEBP"):
        answer = send(visit, picture(form), "../../etc/passwd\0.exe", "text/html")
        assert answer.status_code == 200
        assert answer.json()["kind"] == "photo"


def test_a_recording_is_taken(visit: Visit) -> None:
    assert send(visit, recording()).json()["kind"] == "voice"


NO_UPLOADS = [
    b"",
    b"<html><script>alert(1)</script></html>",
    b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    b"GIF89a" + b"\0" * 100,
    b"\xff\xd8\xff" + b"\0" * 2000,
    b"\x89PNG\r\n\x1a\n<script>alert(1)</script>",
    b"RIFF\x00\x00\x00\x00AVI LIST",
    b"OggS" + b"<script>alert(1)</script>" * 50,
    b"\x1aE\xdf\xa3" + os.urandom(500),
    b"ID3" + b"\0" * 500,
    b"PK\x03\x04" + b"\0" * 100,
    b"%PDF-1.7",
    b"\0\0\0\x18ftypmp42" + b"\0" * 200,
]
"""What only looks like a picture or a recording, or like nothing."""


def test_what_only_looks_like_one_is_refused(visit: Visit, tmp_path: Path) -> None:
    for data in NO_UPLOADS:
        assert send(visit, data, "photo.jpg", "image/jpeg").status_code == 415, data[:20]
    assert list((tmp_path / "data" / "uploads").iterdir()) == []


def test_a_polyglot_is_only_a_picture_afterwards(visit: Visit, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "<?php evil(); ?>"
    answer = send(visit, picture("JPEG", exif=exif) + b"<script>alert(1)</script>PK\x03\x04", "x.html")
    assert answer.status_code == 200
    (kept,) = (tmp_path / "data" / "uploads").iterdir()
    assert b"evil" not in kept.read_bytes()
    assert b"script" not in kept.read_bytes()
    assert kept.name == answer.json()["id"]


def test_what_is_too_large_is_refused(visit: Visit) -> None:
    assert send(visit, picture("JPEG") + b"\0" * 10_000_000).status_code == 413
    assert send(visit, recording() + b"\0" * 26_000_000).status_code == 413
    assert visit.http.post("/v1/feedback", json={"messageId": "x", "thumb": "up", "reason": "x" * 300_000}).status_code == 413


def test_a_photo_goes_with_the_next_message(visit: Visit) -> None:
    upload = send(visit, picture("JPEG")).json()["id"]
    events = visit.say("", uploads=[upload])
    assert [each["toolCallName"] for each in events if each["type"] == "TOOL_CALL_START"] == ["identify_product"]
    assert custom(events, "products")[0][0]["id"] == "p001"
    assert visit.history()["messages"][0]["upload"] == {"id": upload, "kind": "photo"}


def test_somebody_elses_upload_is_not_there(visit: Visit) -> None:
    upload = send(visit, picture("JPEG")).json()["id"]
    with Visit(visit.counter) as other:
        for upload_id in (upload, "../secrets/session.key", "x" * 24):
            refused = other.http.post("/v1/runs", json=other.body("what is this", uploads=[upload_id]))
            assert refused.status_code == 404


def test_uploads_are_deleted_after_their_hours(open_counter: Callable[..., Counter], tmp_path: Path) -> None:
    counter = open_counter(upload_hours=2)
    with Visit(counter) as visit:
        upload = send(visit, picture("JPEG")).json()["id"]
        uploads = counter.app.state.services.uploads
        uploads.sweep(datetime.now(UTC) + timedelta(hours=1))
        assert len(list((tmp_path / "data" / "uploads").iterdir())) == 1
        uploads.sweep(datetime.now(UTC) + timedelta(hours=3))
        assert list((tmp_path / "data" / "uploads").iterdir()) == []
        assert visit.http.post("/v1/runs", json=visit.body("this?", uploads=[upload])).status_code == 404
        assert types(visit.say("good morning"))[-1] == "RUN_FINISHED"
