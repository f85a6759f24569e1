"""Plays one scenario at a place: prepares the shop, says what is to be said, and takes the shop back to what it was."""

import hashlib
import io
import json
import random
import shutil
import sqlite3
import subprocess
import wave
from array import array
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from langgraph.checkpoint.memory import InMemorySaver
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from agent.events import Turn
from agent.turn import Agent, Message
from eval.conversation import Customer, Place, Trajectory, converse
from eval.customers.simulated import Facts, SimulatedCustomer
from eval.customers.wishes import Wish
from eval.obedient import ASKED, WRITES, Obedient
from eval.scenario import OrderAs, Photo, Planted, Scenario, Setup, Voice, Wished
from tools.kit.errors import OperatorError
from tools.shop.shop import Shop
from tools.shop.types import Customer as Person
from tools.shop.types import Variant

VARIANTS = ("real", "obeying", "obeying, always asked")
"""The chat model of a play: that of the settings; one that obeys the attacker, as shipped and where it is asked for every choice."""
SPEAKER = "espeak-ng"
DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
"""Recordings and photos that do not come with Storehand."""
_SPOKEN = {"en": "en-us", "zh": "cmn"}
_TEMPO = 44
"""Bytes of a WAV file's head."""


class Moved:
    """A clock that stands where it is put."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        """The time."""
        return self.at


def missing(scenario: Scenario, beside: Path) -> str | None:
    """What this machine lacks to play it; None if nothing."""
    for step in scenario.steps:
        for part in (step.photo, step.voice):
            if part is not None and part.file is not None and _file(part.file, beside) is None:
                return f"there is no '{part.file}'"
        if step.voice and step.voice.speaks is not None and shutil.which(SPEAKER) is None:
            return f"{SPEAKER} is not installed"
    return None


def play(
    place: Place, clock: Moved, scenario: Scenario, beside: Path, variant: str, *, noon: datetime, seed: int
) -> Trajectory:
    """Play it once; the place is as it was afterwards. `beside` is the scenario's folder, `noon` the time if it tells none.

    Raises OperatorError for records that the shop does not have.
    """
    clock.at = scenario.setup.clock or noon
    try:
        _prepare(place, scenario.setup)
        agent = None if variant == VARIANTS[0] else _obeying(place, scenario, always_asked=variant == VARIANTS[2])
        customer, most = _customer(place.shop, scenario, beside, scenario.setup.seed + seed)
        told = converse(place, place.session(scenario.setup.customer), customer, max_turns=most, agent=agent)
        if isinstance(customer, SimulatedCustomer) and customer.mistakes and told.error is None:
            return replace(told, ended="customer_failed", error="; ".join(customer.mistakes))
        return told
    finally:
        place.reset()


def _obeying(place: Place, scenario: Scenario, *, always_asked: bool) -> Agent:
    assert scenario.obeys
    model = Obedient(
        call={"tool": scenario.obeys.tool, "arguments": scenario.obeys.arguments},
        writes=scenario.obeys.writes or WRITES[scenario.language],
    )
    return place.opened.agent_with(model, InMemorySaver(), **(ASKED if always_asked else {}))


def _customer(shop: Shop, scenario: Scenario, beside: Path, seed: int) -> tuple[Customer, int]:
    simulated = scenario.customer
    if simulated is None:
        return _Steps(shop, scenario, beside, seed), len(scenario.steps)
    owner = shop.customer(scenario.setup.customer or simulated.account or "")
    known = Facts(name=owner.name, email=owner.email, postcode=owner.address.postcode) if owner else Facts()
    wishes = [_wish(shop, owner, each) for each in simulated.goal]
    made = SimulatedCustomer(
        wishes, known, owner, language=scenario.language, persona=simulated.persona, noise=simulated.noise, seed=seed
    )
    return made, simulated.max_turns


def _wish(shop: Shop, owner: Person | None, wanted: Wished) -> Wish:
    """The wish with the shop's records. Raises OperatorError for what the customer has not."""
    orders = shop.orders_of(owner.id) if owner else []
    order = next((each for each in orders if each.id == wanted.order), None)
    methods = {method.id: method for method in owner.payment_methods} if owner else {}
    bought = {item.variant_id: item for item in order.items} if order else {}
    try:
        items = tuple(bought[each] for each, pieces in wanted.items.items() for _ in range(pieces))
        new = tuple(
            _variant(shop, bought[old].product_id, wanted.becomes[old])
            for old in wanted.becomes
            for _ in range(wanted.items[old])
        )
        method = methods[wanted.method] if wanted.method else None
    except KeyError as unknown:
        raise OperatorError(f"the customer has no {unknown} that a scenario's goal names; mend the scenario.") from unknown
    if wanted.order and order is None:
        raise OperatorError(f"the customer has no order '{wanted.order}' that a scenario's goal names; mend the scenario.")
    return Wish(
        kind=wanted.kind,
        order=order,
        items=items,
        new=new,
        method=method,
        reason=wanted.reason,
        asks=wanted.asks,
        answers=wanted.answers,
    )


def _variant(shop: Shop, product_id: str, variant_id: str) -> Variant:
    product = shop.product(product_id)
    return {each.id: each for each in (product.variants if product else ())}[variant_id]


class _Steps:
    """Says the steps one after the other; a button that is not there is a mistake of the agent's and ends it."""

    def __init__(self, shop: Shop, scenario: Scenario, beside: Path, seed: int) -> None:
        self._shop, self._scenario, self._beside, self._seed = shop, scenario, beside, seed
        self._left = iter(scenario.steps)

    def next(self, turn: Turn | None) -> Message | None:
        step = next(self._left, None)
        if step is None:
            return None
        if step.press is not None:
            return _pressed(step.press, turn)
        photo = photo_of(step.photo, self._shop, self._beside) if step.photo else None
        voice = voice_of(step.voice, step.language or self._scenario.language, self._beside, self._seed) if step.voice else None
        return Message(step.say, photo, voice, looking_at=step.looking_at)


def _pressed(button: str, turn: Turn | None) -> Message | None:
    if button in ("agree", "decline"):
        if turn is None or turn.quote is None:
            return None
        return Message(agree_to=turn.quote.id) if button == "agree" else Message(decline=turn.quote.id)
    reply = next((each for each in turn.quick_replies if button.lower() in each.lower()), None) if turn else None
    return Message(reply) if reply else None


def photo_of(photo: Photo, shop: Shop, beside: Path) -> bytes:
    """The picture as the customer's phone sends it, a JPEG. Raises OperatorError for a product without a picture."""
    if photo.file is not None:
        file = _file(photo.file, beside)
        assert file, "looked for before"
    else:
        product = shop.product(photo.of or "")
        if product is None or not product.pictures:
            raise OperatorError(f"the shop has no picture of a product '{photo.of}'.")
        file = shop.picture(product.pictures[0])
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    if photo.cropped:
        dx, dy = (int(side * photo.cropped / 2) for side in picture.size)
        picture = picture.crop((dx, dy, picture.width - dx, picture.height - dy))
    if photo.turned:
        picture = picture.rotate(photo.turned, expand=True, fillcolor="white")
    if photo.dark:
        picture = ImageEnhance.Brightness(picture).enhance(1 - photo.dark)
    if photo.written:
        drawing = ImageDraw.Draw(picture)
        font = ImageFont.load_default(max(14, picture.width // 24))
        drawing.multiline_text((8, picture.height // 3), photo.written, fill="black", font=font)
    exif = picture.getexif()
    if photo.exif:
        # Image description, artist and copyright, where readers of metadata look.
        exif[0x010E] = exif[0x013B] = exif[0x8298] = photo.exif
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=85, exif=exif)
    return data.getvalue()


def voice_of(voice: Voice, language: str, beside: Path, seed: int) -> bytes:
    """The recording, a WAV file if it is spoken here."""
    if voice.file is not None:
        file = _file(voice.file, beside)
        assert file, "looked for before"
        return file.read_bytes()
    made = subprocess.run(
        [SPEAKER, "-v", _SPOKEN[language], "-s", str(voice.words_per_minute), "--stdout", voice.speaks or ""],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    return _with_noise(made, voice.noise, seed) if voice.noise else made


def _with_noise(recording: bytes, share: float, seed: int) -> bytes:
    """The recording with white noise of this share of its loudness, the same for the same seed."""
    samples = array("h", recording[_TEMPO:])
    loudness = (sum(sample * sample for sample in samples) / max(1, len(samples))) ** 0.5
    chance = random.Random(seed)  # noise, no secret
    noisy = array("h", (max(-32768, min(32767, int(sample + chance.gauss(0, share * loudness)))) for sample in samples))
    data = io.BytesIO()
    with wave.open(io.BytesIO(recording)) as old, wave.open(data, "wb") as new:
        new.setparams((1, 2, old.getframerate(), 0, "NONE", ""))
        new.writeframes(noisy.tobytes())
    return data.getvalue()


def _file(name: str, beside: Path) -> Path | None:
    """The file beside the scenario, or below the folder of data that does not come with Storehand."""
    return next((found for found in (beside / name, DATA / name) if found.is_file()), None)


_PLANTS: dict[str, tuple[str, ...]] = {
    "title": ("UPDATE products SET title = :both WHERE id = :id",),
    "description": ("UPDATE products SET description = :both WHERE id = :id",),
    "attribute": ("UPDATE products SET attributes = json_set(attributes, '$.material', json(:both)) WHERE id = :id",),
    "brand": ("UPDATE products SET brand = :text WHERE id = :id",),
    "keyword": ("UPDATE products SET keywords = json_insert(keywords, '$[#]', :text) WHERE id = :id",),
    "review": ("UPDATE reviews SET text = :quoted WHERE id = :id",),
    "clause": ("UPDATE clauses SET text = :both WHERE id = :id",),
    "question": ("UPDATE clauses SET questions = json_insert(questions, '$[#]', :text) WHERE id = :id",),
    "name": ("UPDATE customers SET name = :text WHERE id = :id",),
    "item": ("UPDATE order_items SET title = :both WHERE order_id = :id AND position = 0",),
    "carrier": ("UPDATE fulfilments SET carrier = :text WHERE order_id = :id",),
    "address": ("UPDATE orders SET address = json_set(address, '$.line2', :text) WHERE id = :id",),
}


def _prepare(place: Place, setup: Setup) -> None:
    """Make the shop what the scenario says that it is."""
    with closing(sqlite3.connect(place.folder / "shop.sqlite")) as connection, connection:
        for order_id, order in setup.orders.items():
            for statement, values in _changes(order):
                _change(connection, statement, {**values, "id": order_id}, f"order '{order_id}'")
        for variant_id, pieces in setup.stock.items():
            statement = "UPDATE variants SET stock = :pieces WHERE id = :id"
            _change(connection, statement, {"pieces": pieces, "id": variant_id}, f"variant '{variant_id}'")
        for planted in setup.planted:
            _plant(connection, planted)


def _changes(order: OrderAs) -> Sequence[tuple[str, dict[str, str]]]:
    changes: list[tuple[str, dict[str, str]]] = []
    if order.status:
        changes.append(("UPDATE orders SET status = :status WHERE id = :id", {"status": order.status}))
    if order.placed_at:
        changes.append(("UPDATE orders SET placed_at = :at WHERE id = :id", {"at": order.placed_at.isoformat()}))
    if order.delivered_at:
        changes.append(
            ("UPDATE fulfilments SET delivered_at = :at WHERE order_id = :id", {"at": order.delivered_at.isoformat()})
        )
    return changes


def _plant(connection: sqlite3.Connection, planted: Planted) -> None:
    both = json.dumps({"en": planted.text, "zh": planted.text}, ensure_ascii=False)
    values = {"id": planted.record, "text": planted.text, "quoted": json.dumps(planted.text, ensure_ascii=False), "both": both}
    for statement in _PLANTS[planted.where]:
        _change(connection, statement, values, f"{planted.where} '{planted.record}'")


def _change(connection: sqlite3.Connection, statement: str, values: Mapping[str, object], what: str) -> None:
    if connection.execute(statement, values).rowcount == 0:
        raise OperatorError(f"the shop has no {what} that a scenario's setup names; mend the scenario.")


def digest_of(scenario: Scenario) -> str:
    """Changes with anything that a scenario says."""
    return hashlib.sha256(scenario.model_dump_json().encode()).hexdigest()[:16]
