"""Everything that is loaded once: weights, shop, encoders, index, chat model. Made at start-up, closed at the end."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agent.examples import files_digest
from agent.handover import HANDOVERS, HandoverDesk
from agent.review import REVIEW, ReviewList
from agent.session import Session
from agent.settings import Settings
from agent.turn import Agent, prefix_of
from agent.weights.store import WeightStore
from tools.catalog.build import BuildReport, index_shop
from tools.catalog.catalog import Catalog
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.index import LAYOUT, Index
from tools.catalog.photo_model import TRAINED
from tools.kit.clock import Clock, system_clock
from tools.kit.errors import OperatorError, WeightsUnavailable
from tools.shop.importers import ImportReport, import_shop
from tools.shop.sqlite_shop import SqliteShop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    # These import torch, transformers and their like, which takes seconds: they are loaded while the chat model is.
    from agent.chooser.chooser import Chooser
    from agent.own_queries import OwnQueries
    from agent.train.photos import Base
    from tools.catalog.photo_encoder import PhotoEncoder
    from tools.catalog.text_encoder import TextEncoder
    from tools.transcribe_speech import Transcriber

DEMO = "demo"
CHOOSER = "chooser.safetensors"
"""In the data folder: a chooser of the shop's own."""
PHOTO_MODEL = "photo_model.safetensors"
"""In a shop's folder: a photo model trained on its own pictures."""
OWN_QUERIES = "own_queries.safetensors"
"""In a shop's folder: what its customers mean by their words, learnt from what they looked for and took."""
EMBEDDED_PHOTO = "efficientnet-lite2"
SHIPPED_ADAPTERS = Path(__file__).resolve().parent / "adapters"
DEMO_SOURCE = Path(__file__).resolve().parents[1] / "tools" / "shop" / "demo"


@dataclass(frozen=True)
class Opened:
    """A running agent and the shop it works for."""

    agent: Agent
    shop: SqliteShop
    model: BaseChatModel
    agent_with: partial[Agent]
    """The same agent, given another chat model and another store of conversations."""
    catalog: Catalog
    desk: HandoverDesk
    review: ReviewList
    reindex: Callable[[], BuildReport]
    """Brings the index up to date with the encoders that are loaded, after a product or clause was changed."""

    def load_model(self) -> None:
        """Load the chat model now, if it is one that is loaded; it is loaded with its first request otherwise."""
        if load := getattr(self.model, "load", None):
            load()

    def session(self, customer_id: str | None, conversation_id: str | None) -> Session:
        """A new conversation, or an old one to go on with. Raises OperatorError for a customer the shop does not have."""
        if customer_id is not None and self.shop.customer(customer_id) is None:
            raise OperatorError(f"no customer '{customer_id}' in this shop; leave --customer out to talk as a visitor.")
        return Session(conversation_id=conversation_id or uuid4().hex, customer_id=customer_id)


@contextmanager
def open_agent(settings: Settings, shop: str, console: Console, clock: Clock = system_clock) -> Iterator[Opened]:
    """Load what a conversation needs, fetching and preparing what is not there yet."""
    prepare(settings, console)
    folder = shop_folder(settings, shop, console)
    with SqliteShop.open(folder) as opened:
        text_encoder = text_encoder_of(settings)
        index = _index_of(settings, folder)
        chooser = chooser_of(settings, text_encoder, console)
        photos = lambda: photo_encoder_of(settings, folder / PHOTO_MODEL)  # noqa: E731
        catalog = Catalog.open(opened, index, text_encoder, photos, own_queries_of(text_encoder, folder))
        if catalog.is_stale:
            console.print(f'[yellow]Products or rules changed since they were indexed; run "storehand index --shop {shop}".[/]')
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(settings.data_dir / "conversations.sqlite", check_same_thread=False)
        # What a customer said is gone from the file when it is deleted.
        connection.execute("PRAGMA secure_delete = ON")
        try:
            # Only plain data may be read back from a checkpoint.
            saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
            desk = HandoverDesk(settings.data_dir / HANDOVERS)
            review = ReviewList(settings.data_dir / REVIEW, settings.review)
            agent_with = partial(
                Agent,
                opened,
                catalog,
                chooser=chooser,
                transcriber=cache(lambda: transcriber_of(settings)),
                desk=desk,
                settings=settings.turn,
                clock=clock,
                review=review,
            )
            chat_model = _chat_model(settings, prefix_of(opened))
            reindex = partial(
                index_shop,
                opened,
                index,
                text_encoder,
                lambda: photo_encoder_of(settings, folder / PHOTO_MODEL),
                folder / "vectors.sqlite",
            )
            yield Opened(agent_with(chat_model, saver), opened, chat_model, agent_with, catalog, desk, review, reindex)
        finally:
            connection.close()
            index.close()


def prepare(settings: Settings, console: Console) -> None:
    """Fetch the weights that the settings name, and convert those that need it."""
    store = _store(settings)
    names = [name for name in _weights(settings) if name in store.models]
    if not all(store.present(name) for name in names):
        with Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console
        ) as progress:
            for name in names:
                store.ensure(name, progress)
    if settings.encoders.text == "e5-small" and not _e5_folder(settings).exists():
        from tools.catalog.e5_pack import convert

        with console.status("Unpacking the text encoder …"):
            convert(store.ensure("e5-small") / "e5-small-q4.bin", _e5_folder(settings))


def chooser_of(settings: Settings, text_encoder: "TextEncoder", console: Console) -> "Chooser":
    """What chooses the tool: the shop's own where one was trained, else the one that comes with Storehand."""
    from agent.chooser.chooser import SHIPPED, Chooser

    own = settings.data_dir / CHOOSER
    chooser = Chooser(text_encoder, own if own.exists() else SHIPPED)
    if chooser.card["examples"] != files_digest():
        console.print('[yellow]prompts/examples/ changed since the chooser learnt from it; run "storehand train chooser".[/]')
    return chooser


def _weights(settings: Settings) -> list[str]:
    chat = [settings.model.name] if settings.model.kind == "local_gguf" else []
    return [*chat, settings.encoders.text, settings.encoders.photo, settings.speech.model]


def _store(settings: Settings) -> WeightStore:
    return WeightStore(settings.cache_dir / "weights", settings.weight_sources)


def _e5_folder(settings: Settings) -> Path:
    return settings.cache_dir / "weights" / "e5-small" / "transformers"


def shop_folder(settings: Settings, shop: str, console: Console) -> Path:
    """The folder of an imported shop; the demo shop is imported on its first day of use, so that its orders are recent."""
    if shop != DEMO:
        return Path(shop)
    folder = settings.data_dir / "shops" / DEMO
    stamp = folder / "made-from.json"
    made_from = json.dumps(
        {
            "source": _fingerprint(DEMO_SOURCE),
            "day": date.today().isoformat(),  # noqa: DTZ011
            "layout": LAYOUT,
            "encoders": settings.encoders.model_dump(),
            "photo_model": hashlib.sha256(TRAINED.read_bytes()).hexdigest(),
            "index": settings.index.qdrant_url,
        }
    )
    if not stamp.exists() or stamp.read_text() != made_from:
        with console.status("Opening the demo shop …"):
            import_shop("jsonl", DEMO_SOURCE, folder, today=date.today())  # noqa: DTZ011
        _index(settings, folder, console)
        stamp.write_text(made_from)
    return folder


def _fingerprint(source: Path) -> str:
    files = sorted(path for path in source.rglob("*") if path.suffix in (".jsonl", ".yaml", ".webp"))
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def import_and_index(
    settings: Settings, source_format: str, source: Path, folder: Path, console: Console, *, fetch_pictures: bool = False
) -> ImportReport:
    """Import a shop and make its index, with progress."""
    with Progress(TextColumn("Reading"), MofNCompleteColumn(), console=console) as progress:
        task = progress.add_task("rows", total=None)
        report = import_shop(
            source_format,
            source,
            folder,
            fetch_pictures=fetch_pictures,
            progress=lambda rows: progress.update(task, completed=rows),
        )
    prepare(settings, console)
    _index(settings, folder, console)
    return report


def reindex(settings: Settings, shop: str, console: Console) -> BuildReport:
    """Bring a shop's index up to date."""
    prepare(settings, console)
    return _index(settings, shop_folder(settings, shop, console), console)


def _index(settings: Settings, folder: Path, console: Console) -> BuildReport:
    with (
        SqliteShop.open(folder) as shop,
        Progress(TextColumn("Indexing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console) as progress,
    ):
        task = progress.add_task("records", total=None)
        index = _index_of(settings, folder)
        try:
            report = index_shop(
                shop,
                index,
                text_encoder_of(settings),
                lambda: photo_encoder_of(settings, folder / PHOTO_MODEL),
                folder / "vectors.sqlite",
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        finally:
            index.close()
    for unreadable in report.unreadable_pictures[:10]:
        console.print(f"[yellow]Not a readable picture:[/] {unreadable}", markup=True)
    return report


def _index_of(settings: Settings, folder: Path) -> Index:
    if settings.index.qdrant_url:
        from tools.catalog.server_index import ServerIndex

        key = settings.index.qdrant_api_key.get_secret_value() or None
        return ServerIndex.connect(settings.index.qdrant_url, folder.resolve().name, key)
    return EdgeIndex(folder / "index")


def text_encoder_of(settings: Settings) -> "TextEncoder":
    """Load the text encoder that the settings name."""
    from tools.catalog.text_encoder import TextEncoder

    return TextEncoder(_e5_folder(settings) if settings.encoders.text == "e5-small" else Path(settings.encoders.text))


def own_queries_of(encoder: "TextEncoder", folder: Path) -> "OwnQueries | None":
    """How the shop's own customers' queries become vectors, where `storehand train words` learnt it."""
    from agent.own_queries import OwnQueries

    file = folder / OWN_QUERIES
    return OwnQueries(encoder, file) if file.exists() else None


def open_index(settings: Settings, shop: SqliteShop, folder: Path, encoder: "TextEncoder") -> tuple[Index, Catalog]:
    """A shop's index and its catalogue without queries of its own; the caller closes the index."""
    index = _index_of(settings, folder)
    return index, Catalog.open(shop, index, encoder, lambda: photo_encoder_of(settings, folder / PHOTO_MODEL))


def photo_encoder_of(settings: Settings, trained: Path | None = None) -> "PhotoEncoder":
    """Load the photo encoder that the settings name: the embedded one, or an OpenCLIP model.

    `trained` is where `storehand train photos` writes a model of one's own; without it, or where none was written, the embedded
    encoder is the one that comes with Storehand.
    """
    from tools.catalog.photo_encoder import load_embedded, load_open_clip

    if settings.encoders.photo == EMBEDDED_PHOTO:
        return load_embedded(photo_weights_of(settings), _trained(trained))
    return load_open_clip(*_open_clip_name(settings))


def photo_pair_of(
    settings: Settings, trained: Path | None = None
) -> "tuple[PhotoEncoder, Callable[[Sequence[str]], NDArray[np.float32]]]":
    """Load both towers of the model that the settings name, which share one space of photos and texts; see `photo_encoder_of`."""
    from tools.catalog.photo_encoder import LOCAL, load_open_clip_pair, write_open_clip

    if settings.encoders.photo != EMBEDDED_PHOTO:
        return load_open_clip_pair(*_open_clip_name(settings))
    digest = hashlib.sha256(_trained(trained).read_bytes()).hexdigest()[:16]
    folder = settings.cache_dir / "open_clip" / digest
    if not folder.exists():
        write_open_clip(photo_weights_of(settings), _e5_folder(settings), _trained(trained), folder)
    return load_open_clip_pair(f"{LOCAL}{folder}")


def photo_base_of(settings: Settings, trained: Path | None) -> "Base":
    """What training of the embedded photo model starts from: as ImageNet left it, or from what was trained before."""
    from agent.train.photos import Base

    return Base(photo_weights_of(settings), trained, text_encoder_of(settings).queries)


def photo_weights_of(settings: Settings) -> Path:
    """The file of the embedded photo model's image tower, fetched if it is not there."""
    return next(_store(settings).ensure(EMBEDDED_PHOTO).glob("*.pth"))


def _trained(own: Path | None) -> Path:
    return own if own is not None and own.exists() else TRAINED


def _open_clip_name(settings: Settings) -> tuple[str, str | None]:
    name = settings.encoders.photo
    model, _, pretrained = (name, "", "") if name.startswith("local-dir:") else name.partition("/")
    return model, pretrained or None


def transcriber_of(settings: Settings) -> "Transcriber":
    """Load the speech recognition that the settings name."""
    from tools.transcribe_speech import load_transcriber

    store = _store(settings)
    folder = store.ensure(settings.speech.model) if settings.speech.model in store.models else Path(settings.speech.model)
    return load_transcriber(folder, settings.speech.threads)


def _chat_model(settings: Settings, prefix: str) -> BaseChatModel:
    chosen = settings.model
    if chosen.kind == "openai_compatible":
        from agent.models.openai_compatible import OpenAICompatible

        return OpenAICompatible(
            base_url=chosen.base_url,
            model_name=chosen.name,
            api_key=chosen.api_key,
            tool_mode=chosen.tool_mode,
            timeout_s=chosen.timeout_s,
        )
    from agent.models.llama_engine import Engine
    from agent.models.local_gguf import LocalGGUF, load_engine

    store = _store(settings)
    file = next(store.ensure(chosen.name).glob("*.gguf")) if chosen.name in store.models else Path(chosen.name)
    if not file.is_file():
        raise WeightsUnavailable(f"no model file at '{file}'; run \"storehand weights\" to see what is there.")

    adapter = _adapter(chosen.adapter)

    def load() -> Engine:
        engine = load_engine(
            file,
            context_tokens_per_conversation=chosen.context_tokens,
            conversations=chosen.conversations,
            threads=chosen.threads,
            cache_dir=settings.cache_dir / "prefixes",
            adapter=adapter,
        )
        engine.warm(prefix)
        return engine

    return LocalGGUF(engine=load, timeout_s=chosen.timeout_s)


def _adapter(name: str) -> Path | None:
    """The adapter's file: a shipped one by its name, else the path. Raises WeightsUnavailable where there is none."""
    if not name:
        return None
    shipped = SHIPPED_ADAPTERS / f"{name}.gguf"
    file = shipped if shipped.is_file() else Path(name)
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in SHIPPED_ADAPTERS.glob("*.gguf"))) or "none"
        raise WeightsUnavailable(
            f"no adapter '{name}' (model.adapter): neither a file nor shipped ({known}); make one with \"storehand train chat\"."
        )
    return file
