"""The whole thing as a customer and a colleague see it: the demo shop on the real default models, in a real browser.

With STOREHAND_SHOTS=FOLDER every stage leaves a picture there.
"""

import io
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from accessibility import check_axe
from counter import Launch, Serving
from PIL import Image
from places import PICTURES, shared_data
from rich.console import Console
from test_pages_served import chat, identify, say, sign_in

from agent.events import Event, Said
from agent.resources import Opened, shop_folder
from agent.server.services import Backing
from agent.settings import Settings
from eval.conversation import beside
from tools.kit.clock import system_clock

pytestmark = pytest.mark.real

DESKTOP = {"width": 1200, "height": 820}
PHONE = {"width": 390, "height": 844}
SPOKEN = "16245b86-120d-405b-aeaf-c5e6070db48c.flac"
"""A person who orders an iced mocha."""
WAIT_MS = 180_000
"""A reply of the chat model on two busy cores."""


@pytest.fixture(scope="module")
def served(demo: Opened, settings: Settings) -> Iterator[Serving]:
    demo.load_model()
    # On a copy: what is cancelled here would be cancelled for the tests that come after.
    with beside(demo, shop_folder(settings, "demo", Console(quiet=True)), system_clock) as place:
        given = {name: getattr(place.opened, name) for name in ("agent", "shop", "catalog", "desk", "review", "reindex")}
        serving = Serving(Backing(**given, settings=settings, clock=system_clock, is_demo=True))
        serving.start()
        yield serving
        serving.close()


@pytest.fixture(scope="module")
def spoken_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording as Chromium's microphone plays it: 16-bit WAV."""
    wav = tmp_path_factory.mktemp("spoken") / "spoken.wav"
    with av.open(str(shared_data("speech_barista") / "audio" / SPOKEN)) as source, av.open(str(wav), "w") as target:
        stream = target.add_stream("pcm_s16le", rate=48_000, layout="mono")
        resampler = av.AudioResampler("s16", "mono", 48_000)
        for frame in source.decode(audio=0):
            for piece in resampler.resample(frame):
                target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    return wav


@pytest.fixture(scope="module")
def speaking_browser(launch: Launch, spoken_wav: Path) -> Iterator[Any]:
    running = launch(f"--use-file-for-fake-audio-capture={spoken_wav}%noloop")
    yield running
    running.close()


Opener = Callable[..., Any]


@pytest.fixture
def opened(speaking_browser: Any, served: Serving) -> Iterator[Opener]:
    """Open one of the server's pages; the test fails if it threw, wrote an error or asked another host."""
    troubles: list[str] = []
    contexts = []

    def open_page(path: str = "/", viewport: dict[str, int] = DESKTOP, **options: Any) -> Any:
        context = speaking_browser.new_context(
            viewport=viewport, permissions=["microphone"], reduced_motion="reduce", bypass_csp=True, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        ours = (served.url, "blob:", "data:")
        page.on("request", lambda asked: None if asked.url.startswith(ours) else troubles.append(f"asked {asked.url}"))
        page.goto(served.url + path)
        return page

    yield open_page
    for place, context in enumerate(contexts):
        shot(context.pages[0], f"last-{place}")
        context.close()
    assert troubles == []


def shot(page: Any, name: str) -> None:
    if folder := os.environ.get("STOREHAND_SHOTS"):
        page.wait_for_timeout(300)
        page.screenshot(path=f"{folder}/{name}.png")


def answer_to(page: Any, said: str) -> Any:
    """What the agent answers to these words, or, as a selector, to what was sent."""
    sent = f":has({said})" if said.startswith(".") else f":has-text('{said}')"
    return page.get_by_role("log").locator(f"div:has(> .row.customer{sent}) + div > .row.agent")


def answered(page: Any, said: str) -> Any:
    """The same, once it is whole."""
    row = answer_to(page, said)
    row.locator(".thumbs").wait_for()
    return row


def photo_of(product: str) -> bytes:
    """A product's picture as a telephone might send it: other size, other compression, a little darker."""
    with Image.open(PICTURES / f"{product}.webp") as picture:
        small = picture.convert("RGB").resize((500, 400)).point(lambda value: int(value * 0.9))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()


@pytest.fixture
def go_on(served: Serving, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While it is cleared, answers stop after their first words."""
    agent, go_on = served.app.state.services.agent, threading.Event()
    go_on.set()
    answer = agent.answer

    def held(*asked: Any) -> Iterator[Event]:
        for event in answer(*asked):
            yield event
            if isinstance(event, Said):
                assert go_on.wait(WAIT_MS / 1000)

    monkeypatch.setattr(agent, "answer", held)
    yield go_on
    go_on.set()


def test_a_customer_is_served(opened: Opener, served: Serving, go_on: threading.Event) -> None:
    page = opened()
    shot(page, "01-page")
    log = chat(page, "c001")
    shot(page, "02-open")

    say(page, "how long do I have to return something?")
    clause = log.get_by_role("button", name=re.compile("^Read (?!this aloud)")).first
    clause.wait_for()
    assert "30 days" in answered(page, "how long do I have").inner_text()
    shot(page, "03-cited")
    clause.click()
    page.locator(".sheet").get_by_text("days").first.wait_for()
    shot(page, "04-clause")
    page.keyboard.press("Escape")

    say(page, "show me linen dresses under $100")
    card = log.locator(".product").first
    card.wait_for()
    assert "linen" in answered(page, "show me linen").inner_text().lower()
    shot(page, "05-cards")
    check_axe(page)

    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add a photo").click()
    chooser.value.set_files({"name": "p.jpg", "mimeType": "image/jpeg", "buffer": photo_of("p050")})
    page.get_by_role("img", name="Photo").wait_for()
    say(page, "do you have this?")
    product = served.shop.product("p050")
    assert product is not None
    assert product.title.in_language("en") in answered(page, "do you have this?").inner_text()
    shot(page, "06-photo")

    page.get_by_role("button", name="Record a voice message").click()
    page.get_by_role("group", name="Recording").wait_for()
    page.wait_for_timeout(2500)
    shot(page, "07-recording")
    page.wait_for_timeout(4000)
    page.get_by_role("button", name="Send the recording").click()
    answered(page, ".attached:has-text('Voice')")
    heard = log.locator(".row.customer:has(.attached) .bubble").last.inner_text()
    # Where the browser begins to record varies, and with it a word or two.
    assert len(set(re.findall(r"[a-z]+", heard.lower())) & {"have", "single", "shot", "iced", "mocha", "cream"}) >= 3, heard
    shot(page, "08-voice")

    say(page, "please cancel my order 1076")
    quote = log.get_by_role("region", name="For you to confirm")
    quote.get_by_role("button", name="Confirm").wait_for()
    answered(page, "please cancel")
    shot(page, "09-quote")
    assert served.shop.ledger.entries() == []
    quote.get_by_role("button", name="Confirm").click()
    quote.get_by_text("Confirmed").wait_for()
    page.get_by_role("button", name="Send", exact=True).wait_for()
    shot(page, "10-confirmed")
    assert served.shop.ledger.entries()

    go_on.clear()
    say(page, "what is the Breeze Linen Midi Dress like, would it do for a wedding?")
    begun = answer_to(page, "do for a wedding?").locator(".prose").inner_text()
    page.reload()
    identify(page, "c001")
    page.get_by_role("button", name="Stop the answer").wait_for()
    assert answer_to(page, "do for a wedding?").locator(".prose").inner_text() == begun
    shot(page, "11-reloaded")
    go_on.set()
    answer = answered(page, "do for a wedding?")
    assert answer.locator(".prose").inner_text().startswith(begun)
    assert answer.locator(".product").all_inner_texts()[0].startswith("Breeze Linen Midi Dress")
    assert log.get_by_text("would it do for a wedding?").count() == 1
    shot(page, "12-went-on")

    page.get_by_role("button", name="切换到中文").click()
    say(page, "包邮吗？")
    free = answered(page, "包邮吗")
    assert re.search("[\u4e00-\u9fff]", free.inner_text())
    assert free.locator("button.chip").count() > 0
    shot(page, "13-chinese")


def test_a_person_takes_over_and_gives_back(opened: Opener, served: Serving) -> None:
    customer = opened()
    log = chat(customer, "c002")
    staff = opened("/console/")
    shot(staff, "20-sign-in")
    sign_in(staff, served)
    say(customer, "where is my order 1063?")
    answered(customer, "where is my order")
    say(customer, "I want to talk to a person")
    staff.locator(".badge.waiting").click()
    shot(customer, "21-waits")
    staff.get_by_role("button", name="Take over").wait_for()
    shot(staff, "22-packet")
    staff.get_by_role("button", name="Take over").click()
    customer.get_by_text("Mia is with you").wait_for()
    staff.get_by_label("Reply to the customer").last.fill(
        "Hello, Mia here. Your parcel left our warehouse; I have asked the carrier."
    )
    staff.get_by_role("button", name="Send").click()
    log.get_by_text("Hello, Mia here").wait_for()
    say(customer, "thank you, that helps")
    staff.get_by_role("log").get_by_text("thank you, that helps").wait_for()
    staff.get_by_text("How this came about").first.click()
    shot(staff, "23-held")
    check_axe(staff)
    shot(customer, "24-held")
    staff.get_by_role("button", name="Give back").first.click()
    staff.get_by_role("button", name="Give back").last.click()
    customer.get_by_text("Digital assistant", exact=True).wait_for()
    say(customer, "is shipping free?")
    assert answered(customer, "is shipping free?").locator("button.chip").count() > 0
    shot(customer, "25-given-back")
    for link, seen in (
        ("Conversations", "where is my order 1063?"),
        ("Analytics", "What customers want"),
        ("Catalogue", "p001"),
        ("Rules and FAQ", "RET-1"),
        ("Review", "Sentences from which"),
        ("Customers", "Customer's id"),
    ):
        staff.get_by_role("link", name=link).click()
        staff.get_by_text(seen).first.wait_for()
        shot(staff, f"26-{link.split()[0].lower()}")
        check_axe(staff)
    staff.set_viewport_size(PHONE)
    for link in ("Inbox", "Conversations", "Analytics", "Catalogue", "Rules and FAQ", "Review", "Customers"):
        staff.get_by_role("link", name=link).click()
        shot(staff, f"27-phone-{link.split()[0].lower()}")


def test_a_phone_and_the_keyboard_alone(opened: Opener) -> None:
    page = opened(viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True)
    chat(page)
    assert page.get_by_role("button", name="Take a photo").is_visible()
    shot(page, "30-phone")
    say(page, "show me winter jackets")
    assert answered(page, "winter jackets").locator(".product").count() > 0
    shot(page, "31-phone-cards")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    check_axe(page)

    page = opened()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.localName") == "storehand-chat":
            break
    page.keyboard.press("Enter")
    page.get_by_role("log").get_by_text("digital assistant").wait_for()
    page.wait_for_timeout(200)
    page.keyboard.type("can I return underwear?")
    page.keyboard.press("Enter")
    source = page.get_by_role("log").get_by_role("button", name=re.compile("^Read (?!this aloud)")).first
    source.wait_for()
    answered(page, "return underwear?")
    ends = time.monotonic() + 10
    while not source.evaluate("each => each.matches(':focus')"):
        assert time.monotonic() < ends, "the source cannot be reached with the keyboard"
        page.keyboard.press("Shift+Tab")
    shot(page, "32-keyboard")
    page.keyboard.press("Enter")
    page.locator(".sheet").wait_for()
    page.keyboard.press("Escape")
    assert source.evaluate("each => each.matches(':focus')")
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
