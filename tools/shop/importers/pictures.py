"""Checks pictures before a shop takes them over and, where the person allows it, fetches them from the web.

An address in a feed is text from outside: it may name the shop's own network. So a host's name is looked up once, every address it
leads to must be one of the public internet, and exactly the address that was checked is connected to; each redirect goes through
the same. No proxy is used. Source of what is public: the registries that Python's ipaddress follows (IANA, RFC 6890).
"""

import hashlib
import socket
import ssl
import time
import warnings
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpcore
from PIL import Image

from tools.shop.importers.source import file_below

MAX_PICTURE_BYTES = 20_000_000
MAX_PICTURE_PIXELS = 50_000_000
SECONDS_A_PICTURE = 30.0
"""In all, redirects included."""
MAX_REDIRECTS = 3
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif"}
_NAT64 = IPv6Network("64:ff9b::/96")


class UnusablePicture(Exception):
    """A picture that is left out; the message says why, as the end of a sentence that begins with its name."""


def check_picture(path: Path) -> str:
    """The file suffix that the content of a picture stands for, like ".jpg". Raises UnusablePicture."""
    if path.stat().st_size > MAX_PICTURE_BYTES:
        raise UnusablePicture(f"is larger than {MAX_PICTURE_BYTES:,} bytes")
    try:
        with warnings.catch_warnings():
            # The limit below is lower than the one that Pillow warns of.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=list(_SUFFIXES)) as picture:
                suffix, pixels = _SUFFIXES[picture.format or ""], picture.width * picture.height
                picture.verify()
    except (OSError, ValueError, SyntaxError, KeyError, Image.DecompressionBombError) as error:
        raise UnusablePicture("is no JPEG, PNG, WebP or GIF picture, or a broken one") from error
    if pixels > MAX_PICTURE_PIXELS:
        raise UnusablePicture(f"has more than {MAX_PICTURE_PIXELS:,} pixels")
    return suffix


def is_web_address(reference: str) -> bool:
    """Whether a reference to a picture is an address rather than a file's name."""
    return "://" in reference or reference.startswith("//")


def file_beside(source: Path, reference: str) -> tuple[str, Path] | None:
    """The name and the file in `source`/pictures that a reference stands for; None if there is none.

    A file's name is looked for as it is; a web address as wget --force-directories saves it, HOST/PATH.
    """
    folder = source / "pictures"
    if not folder.is_dir():
        return None
    name = reference
    if is_web_address(reference):
        try:
            parts = urlsplit(reference)
        except ValueError:
            return None
        name = f"{parts.netloc}{unquote(parts.path)}"
    name = name.removeprefix("pictures/")
    file = file_below(folder, name)
    return (name, file) if file else None


class PictureFetcher:
    """Fetches pictures into `folder`, one at a time; close it, or use it in a `with`.

    `resolve` and `network` are what looks a host up and what opens a connection to an address.
    """

    def __init__(
        self,
        folder: Path,
        resolve: Callable[..., Iterable[tuple[Any, ...]]] = socket.getaddrinfo,
        network: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._folder = folder
        self._public = _PublicOnly(resolve, network or httpcore.SyncBackend())
        self._pool = httpcore.ConnectionPool(network_backend=self._public, ssl_context=ssl.create_default_context())

    def __enter__(self) -> "PictureFetcher":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def fetch(self, url: str) -> Path:
        """The picture at an http or https address as a file, named after the address. Raises UnusablePicture."""
        self._public.until = time.monotonic() + SECONDS_A_PICTURE
        target = self._folder / hashlib.sha256(url.encode(errors="replace")).hexdigest()[:24]
        try:
            for _ in range(MAX_REDIRECTS + 1):
                onward = self._save(url, target)
                if onward is None:
                    return target.rename(target.with_suffix(check_picture(target)))
                url = urljoin(url, onward)
        except UnusablePicture:
            target.unlink(missing_ok=True)
            raise
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
            target.unlink(missing_ok=True)
            raise UnusablePicture(f"could not be fetched ({type(error).__name__}: {error})") from error
        raise UnusablePicture(f"is behind more than {MAX_REDIRECTS} redirects")

    def _save(self, url: str, target: Path) -> str | None:
        """Where a redirect leads; None once the content is in `target`."""
        address = _address(url)
        headers = [(b"Accept", b"image/*"), (b"Accept-Encoding", b"identity"), (b"User-Agent", b"storehand")]
        with self._pool.stream("GET", address, headers=headers) as response:
            fields = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in (301, 302, 303, 307, 308) and b"location" in fields:
                return fields[b"location"]
            if response.status != 200:
                raise UnusablePicture(f"is not there (HTTP {response.status})")
            kind = fields.get(b"content-type", "")
            if not kind.lower().startswith("image/"):
                raise UnusablePicture(f"is no picture but '{kind[:60]}'")
            size = 0
            with target.open("wb") as file:
                for chunk in response.iter_stream():
                    size += len(chunk)
                    if size > MAX_PICTURE_BYTES:
                        raise UnusablePicture(f"is larger than {MAX_PICTURE_BYTES:,} bytes")
                    file.write(chunk)
        return None


def _address(url: str) -> str:
    """The address in ASCII. Raises UnusablePicture for anything but http and https, ValueError for what is no address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnusablePicture("is at no http or https address")
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    place = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
    return f"{parts.scheme}://{place}{port}{path}{query}"


def is_public(address: str) -> bool:
    """Whether an IP address lies in the public internet, and so does the one that it carries inside, if any."""
    found: IPv4Address | IPv6Address | None = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found in _NAT64:
            found = IPv4Address(int(found) & 0xFFFFFFFF)
        elif found.teredo:
            return False
        else:
            found = found.ipv4_mapped or found.sixtofour or found
    return bool(found and found.is_global and not found.is_multicast)


class _PublicOnly(httpcore.NetworkBackend):
    """Connects to public addresses only, each looked up once, and gives up at the time `until`."""

    def __init__(self, resolve: Callable[..., Iterable[tuple[Any, ...]]], network: httpcore.NetworkBackend) -> None:
        self._resolve = resolve
        self._network = network
        self.until = 0.0

    def remaining(self) -> float:
        """Seconds that are left; raises httpcore.ReadTimeout when none are."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout(f"more than {SECONDS_A_PICTURE:.0f} seconds")
        return left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # the time that is left counts
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = [str(entry[4][0]) for entry in self._resolve(host, port, type=socket.SOCK_STREAM)]
        for address in addresses:
            if not is_public(address):
                raise UnusablePicture(f"is at {address}, which is not in the public internet")
        if not addresses:
            raise UnusablePicture(f"is on a host without address, '{host}'")
        stream = self._network.connect_tcp(addresses[0], port, self.remaining(), local_address, socket_options)
        return _InTime(stream, self)


class _InTime(httpcore.NetworkStream):
    """A connection whose every step has only the time that is left."""

    def __init__(self, stream: httpcore.NetworkStream, clock: _PublicOnly) -> None:
        self._stream = stream
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, self._clock.remaining())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, self._clock.remaining())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        return _InTime(self._stream.start_tls(ssl_context, server_hostname, self._clock.remaining()), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
