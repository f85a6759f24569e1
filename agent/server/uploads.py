"""Photos and recordings that customers send: checked by content, kept under names of our own, deleted after some hours.

A photo is decoded and written anew, small and without metadata: whatever else its bytes were, it is a picture afterwards. No upload
is ever sent back to anybody.
"""

import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Literal

import av

from agent.intake import open_photo
from agent.server.problems import Problem
from agent.server.store import Store
from tools.kit.errors import UnreadablePhoto

MOST_PHOTO_BYTES = 10_000_000
MOST_VOICE_BYTES = 25_000_000
_PHOTOS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_VOICES = {b"\x1aE\xdf\xa3": "matroska", b"OggS": "ogg", b"RIFF": "wav", b"ID3": "mp3"}

Kind = Literal["photo", "voice"]


class Uploads:
    """The files in `folder` and what the store knows of them."""

    def __init__(self, folder: Path, store: Store, keep_hours: int) -> None:
        self._folder, self._store, self._keep = folder, store, timedelta(hours=keep_hours)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def take(self, conversation: str, data: bytes, now: datetime) -> tuple[str, Kind]:
        """Keep a customer's file. Raises Problem: 413 too large, 415 neither a picture nor a recording that we read."""
        kind = _kind(data)
        if len(data) > (MOST_PHOTO_BYTES if kind == "photo" else MOST_VOICE_BYTES):
            raise Problem(413, "too_large", "A picture may have 10 MB, a recording 25 MB.")
        kept = _redrawn(data) if kind == "photo" else _checked_recording(data)
        upload_id = secrets.token_urlsafe(18)
        self._file(upload_id).write_bytes(kept)
        self._store.add_upload(upload_id, conversation, kind, now)
        return upload_id, kind

    def kind(self, conversation: str, upload_id: str) -> Kind:
        """What this conversation's upload is. Raises Problem 404 for any other id."""
        kind = self._store.upload_kind(upload_id, conversation)
        if kind is None:
            raise Problem(404, "no_such_upload", "This photo or recording is not there (any more); please send it again.")
        return "photo" if kind == "photo" else "voice"

    def read(self, upload_id: str) -> bytes:
        """The bytes of an upload whose `kind` was asked before; none if it was deleted since."""
        with suppress(FileNotFoundError):
            return self._file(upload_id).read_bytes()
        return b""

    def sweep(self, now: datetime) -> None:
        """Delete what is older than the settings allow, and files that nobody knows."""
        self._store.forget_uploads(now - self._keep)
        for file in self._folder.iterdir():
            if file.stat().st_mtime < (now - self._keep).timestamp():
                file.unlink(missing_ok=True)

    def delete(self, upload_ids: list[str]) -> None:
        """Delete these files."""
        for upload_id in upload_ids:
            self._file(upload_id).unlink(missing_ok=True)

    def _file(self, upload_id: str) -> Path:
        return self._folder / upload_id


def _kind(data: bytes) -> Kind:
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if is_webp or data.startswith(_PHOTOS):
        return "photo"
    if _container(data):
        return "voice"
    raise _unknown()


def _container(data: bytes) -> str | None:
    if data[4:8] == b"ftyp":
        return "mp4"
    if data[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        return "mp3"
    if data[:4] == b"RIFF" and data[8:12] != b"WAVE":
        return None
    return next((name for magic, name in _VOICES.items() if data.startswith(magic)), None)


def _redrawn(data: bytes) -> bytes:
    try:
        photo = open_photo(data)
    except UnreadablePhoto as error:
        raise _unknown() from error
    drawn = BytesIO()
    photo.save(drawn, "JPEG", quality=95)
    return drawn.getvalue()


def _checked_recording(data: bytes) -> bytes:
    """The same bytes, if the container that their first ones announce really holds sound."""
    try:
        with av.open(BytesIO(data), "r", format=_container(data)) as container:
            if next(container.decode(audio=0), None) is None:
                raise _unknown()
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise _unknown() from error
    return data


def _unknown() -> Problem:
    return Problem(
        415, "unknown_type", "Please send a JPEG, PNG or WebP picture, or a recording as WebM, Ogg, WAV, MP3 or M4A."
    )
