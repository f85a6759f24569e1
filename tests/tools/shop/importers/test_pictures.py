"""Pictures are fetched from public addresses only, and from the very address that was checked."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import httpcore
import pytest
from imported import Importing
from PIL import Image

from tools.shop import importers
from tools.shop.importers import pictures
from tools.shop.importers.pictures import PictureFetcher, UnusablePicture, is_public
from tools.shop.sqlite_shop import SqliteShop

PUBLIC = "93.184.216.34"


def png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "PNG")
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Answers by path; every request is put down with the host it was sent to."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(f"{self.headers['Host']}{self.path}")
        kind, body, headers = "image/png", png(), {}
        if self.path.startswith("/to/"):
            headers = {"Location": self.path.removeprefix("/to/")}
        if self.path == "/page":
            kind = "text/html"
        if self.path == "/lie":
            body = b"<html>"
        if self.path == "/large":
            body += b"\0" * 2_000
        self.send_response(302 if headers else 404 if self.path == "/gone" else 200)
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Network(httpcore.SyncBackend):
    """Puts down which address is connected to, and connects to the local server instead."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connected: list[str] = []

    def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.NetworkStream:
        self.connected.append(host)
        return super().connect_tcp("127.0.0.1", self.port, *args, **options)


class Names:
    """A resolver whose answer to each question is the next in a name's list."""

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = addresses

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        answers = self.addresses.get(host.partition(".")[0])
        if answers is None:
            return socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST, type=socket.SOCK_STREAM)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port)) for answer in answers.pop(0).split()]


@pytest.fixture
def network() -> Iterator[Network]:
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Network(server.server_port)
        server.shutdown()
        thread.join()


def fetch(folder: Path, network: Network, url: str, **names: list[str]) -> Path:
    with PictureFetcher(folder, Names(**names), network) as fetcher:
        return fetcher.fetch(url)


def test_a_picture_is_fetched_from_the_address_that_was_checked(tmp_path: Path, network: Network) -> None:
    file = fetch(tmp_path, network, "http://shop.example/a b.png?v=1", shop=[PUBLIC])
    assert file.suffix == ".png"
    assert file.read_bytes() == png()
    assert network.connected == [PUBLIC]
    assert Handler.asked == ["shop.example/a%20b.png?v=1"]


def test_a_name_that_changes_its_address_is_looked_up_once_a_connection(tmp_path: Path, network: Network) -> None:
    fetch(tmp_path, network, "http://shop.example/a", shop=[PUBLIC, "127.0.0.1"])
    assert network.connected == [PUBLIC]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a",
        "http://2130706433/a",
        "http://0.0.0.0/a",
        "http://10.0.0.1/a",
        "http://192.168.1.1:8080/a",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/a",
        "http://224.0.0.1/a",
        "http://240.0.0.1/a",
        "http://[::1]/a",
        "http://[fe80::1]/a",
        "http://[fc00::1]/a",
        "http://[::ffff:10.0.0.1]/a",
        "http://[64:ff9b::a00:1]/a",
        "http://[2002:a00:1::]/a",
    ],
)
def test_no_address_outside_the_public_internet_is_connected_to(tmp_path: Path, network: Network, url: str) -> None:
    with pytest.raises(UnusablePicture, match="not in the public internet"):
        fetch(tmp_path, network, url)
    assert network.connected == []


@pytest.mark.parametrize("addresses", ["10.0.0.1", f"{PUBLIC} 127.0.0.1", f"127.0.0.1 {PUBLIC}"])
def test_a_name_with_any_address_that_is_not_public_is_refused(tmp_path: Path, network: Network, addresses: str) -> None:
    with pytest.raises(UnusablePicture, match="not in the public internet"):
        fetch(tmp_path, network, "http://shop.example/a", shop=[addresses])
    assert network.connected == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://shop.example/a", "data:image/png;base64,AA", "//shop.example/a", "http:///a"]
)
def test_only_http_and_https_are_fetched(tmp_path: Path, network: Network, url: str) -> None:
    with pytest.raises(UnusablePicture, match="no http or https address"):
        fetch(tmp_path, network, url, shop=[PUBLIC])


def test_a_redirect_is_followed_to_a_public_address(tmp_path: Path, network: Network) -> None:
    file = fetch(tmp_path, network, "http://shop.example/to/http://cdn.example/a", shop=[PUBLIC], cdn=["1.1.1.1"])
    assert file.read_bytes() == png()
    assert network.connected == [PUBLIC, "1.1.1.1"]


@pytest.mark.parametrize(
    ("onward", "reason"),
    [
        ("http://10.0.0.1/a", "not in the public internet"),
        ("http://cdn.example/a", "not in the public internet"),
        ("file:///etc/passwd", "no http or https"),
        ("/to//to//to//to//to/a", "more than 3 redirects"),
    ],
)
def test_each_redirect_is_checked_again(tmp_path: Path, network: Network, onward: str, reason: str) -> None:
    with pytest.raises(UnusablePicture, match=reason):
        fetch(tmp_path, network, f"http://shop.example/to/{onward}", shop=[PUBLIC] * 9, cdn=["127.0.0.1"])
    assert set(network.connected) == {PUBLIC}


@pytest.mark.parametrize(
    ("path", "reason"),
    [("page", "no picture but 'text/html'"), ("lie", "no JPEG"), ("large", "larger than 1,000 bytes"), ("gone", "HTTP 404")],
)
def test_what_is_no_picture_is_refused_and_not_kept(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch, path: str, reason: str
) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", 1_000)
    with pytest.raises(UnusablePicture, match=reason):
        fetch(tmp_path, network, f"http://shop.example/{path}", shop=[PUBLIC])
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_sends_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "SECONDS_A_PICTURE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UnusablePicture, match="could not be fetched"):
        fetch(tmp_path, Network(silent.getsockname()[1]), "http://shop.example/a", shop=[PUBLIC])


def test_a_name_that_is_not_known_is_reported(tmp_path: Path, network: Network) -> None:
    with pytest.raises(UnusablePicture, match="could not be fetched"):
        fetch(tmp_path, network, "http://nowhere.invalid/a")


def test_public_addresses_are_public() -> None:
    assert is_public("1.1.1.1")
    assert is_public("2606:4700:4700::1111")
    assert is_public("::ffff:1.1.1.1")


def test_an_import_fetches_pictures_only_where_it_is_allowed(
    importing: Importing, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(shop=[PUBLIC] * 9, inside=["10.0.0.1"])
    monkeypatch.setattr(importers, "PictureFetcher", lambda folder: PictureFetcher(folder, names, network))
    urls = "http://shop.example/a,http://shop.example/gone,http://inside.example/a"
    feed = {"feed.tsv": f"id\ttitle\tprice\timage_link\tadditional_image_link\nm\tMug\t5 EUR\thttp://shop.example/b\t{urls}\n"}
    found = importing("google-merchant", feed)
    assert network.connected == []
    assert found.notes() == ["google-merchant: 4 pictures at web addresses are left out; --fetch-pictures fetches them"]
    found = importing("google-merchant", feed, fetch_pictures=True)
    assert found.notes() == [
        "feed.tsv:2: picture 'http://shop.example/gone' is not there (HTTP 404): left out",
        "feed.tsv:2: picture 'http://inside.example/a' is at 10.0.0.1, which is not in the public internet: left out",
    ]
    with SqliteShop.open(found.folder) as shop:
        assert [shop.picture(name).read_bytes() for name in found.products["m"].pictures] == [png(), png()]
