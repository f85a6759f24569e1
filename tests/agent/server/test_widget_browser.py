"""The widget in a real browser: what a customer sees and can do, and what hostile text cannot."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from accessibility import check_axe
from counter import Launch
from PIL import Image
from telling_server import Event, TellingServer, custom, text
from visits import wait_until

DESKTOP = {"width": 1100, "height": 800}
PHONE = {"width": 390, "height": 844}

DRESS = {
    "id": "p001",
    "title": "Breeze Linen Midi Dress",
    "price": {"amount": 6490, "currency": "USD", "text": "$64.90"},
    "picture": "/pictures/p001.webp",
    "inStock": True,
    "stock": "In stock",
    "why": "linen, in your size",
    "url": "/products/p001",
}
QUOTE = {
    "id": "q1",
    "kind": "return",
    "title": "Return · order 1042",
    "lines": ["Breeze Linen Midi Dress × 1: $64.90", "Return postage: −$5.95"],
    "total": {"amount": 5895, "currency": "USD", "text": "$58.95"},
    "clauses": ["RET-1"],
    "validUntil": "2099-01-01T12:00:00Z",
}
SOURCE = {"id": "RET-1", "kind": "clause", "title": "Return window"}


def script(body: dict[str, Any], server: TellingServer) -> Iterator[Event]:
    """What the shop answers in these tests."""
    said, message, props = body["messages"][-1]["content"], body["message"], body["forwardedProps"]
    if "agreeTo" in props:
        yield custom("quoteSettled", {"id": props["agreeTo"], "state": "confirmed", "text": "Return R-7 is registered."})
        yield from text("Done.", message)
    elif "decline" in props:
        yield custom("quoteSettled", {"id": props["decline"], "state": "declined", "text": "Nothing was changed."})
    elif "return" in said:
        yield {"type": "TOOL_CALL_START", "toolCallId": "t", "toolCallName": "quote_return"}
        yield {"type": "TOOL_CALL_RESULT", "toolCallId": "t", "content": "worked out"}
        yield from text("You can send it back:", message)
        yield custom("quote", QUOTE)
    elif "wait" in said:
        yield {"type": "TOOL_CALL_START", "toolCallId": "t", "toolCallName": "search_products"}
        yield from text("First half, ", message)[:-1]
        server.go_on.wait(15)
        yield {"type": "TEXT_MESSAGE_CONTENT", "messageId": message, "delta": "second half."}
    elif "break" in said:
        yield {"type": "RUN_ERROR", "message": "Our answer got lost.", "code": "ref-1"}
    elif props.get("uploads"):
        yield custom("heard", {"text": "do you have umbrellas"})
        yield from text("I looked at what you sent.", message)
    else:
        yield from text("Within **30 days**.", message)
        yield custom("products", [DRESS])
        yield custom("sources", [SOURCE, {"id": "1042", "kind": "order", "title": "Order 1042"}])
        yield custom("quickReplies", ["Only in white"])


@pytest.fixture
def server() -> Iterator[TellingServer]:
    """A server that answers by `script`."""
    telling = TellingServer(script)
    yield telling
    telling.close()


Opened = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, server: TellingServer) -> Iterator[Opened]:
    """Open the shop's page with the chat; the test fails if the page threw, wrote an error or asked another host."""
    troubles: list[str] = []
    contexts = []

    def open_page(viewport: dict[str, int] = DESKTOP, of: Any = None, **options: Any) -> Any:
        given = {"permissions": ["microphone", "camera"], **options}
        context = (of or browser).new_context(viewport=viewport, reduced_motion="reduce", **given)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        ours = (server.address, "blob:", "data:")
        page.on("request", lambda asked: None if asked.url.startswith(ours) else troubles.append(f"asked {asked.url}"))
        page.goto(server.address)
        page.get_by_role("button", name=re.compile("Open the chat|打开对话")).click()
        page.get_by_role("log").get_by_text(re.compile("digital assistant|智能助手")).wait_for()
        return page

    open_page.troubles = troubles  # type: ignore[attr-defined]
    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def say(page: Any, words: str) -> None:
    """Write and send."""
    field = page.get_by_role("textbox", name="Your message")
    field.fill(words)
    field.press("Enter")


def add_photo(page: Any, photo: bytes) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add a photo").click()
    chooser.value.set_files({"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo})
    page.get_by_role("img", name="Photo").wait_for()


def read(page: Any, words: str) -> Any:
    """The words among what was said, apart from where they are announced to a screen reader."""
    return page.get_by_role("log").get_by_text(words)


def test_an_answer_comes_with_products_and_sources_that_open(opened: Opened, server: TellingServer) -> None:
    page = opened()
    say(page, "how long do I have?")
    read(page, "Within 30 days.").wait_for()
    assert page.locator(".prose strong").inner_text() == "30 days"
    card = page.get_by_role("listitem").filter(has_text="Breeze Linen")
    assert card.locator(".price").inner_text() == "$64.90"
    assert card.get_by_text("In stock").is_visible()
    assert "linen, in your size" in card.locator(".why").inner_text()
    assert card.get_by_role("link").get_attribute("href") == f"{server.address}/products/p001"
    # Asked anew each time: to wait in the page would be eval, which its policy forbids.
    wait_until(lambda: card.locator(".picture img").evaluate("picture => picture.naturalWidth > 0"))
    assert page.get_by_text("Order 1042").is_visible()
    assert page.locator("[aria-live=polite]").inner_text() == "Within 30 days."
    page.get_by_role("button", name="Read Return window").click()
    page.get_by_text("as long as they are unused").wait_for()
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("button", name="Only in white").click()
    read(page, "Within 30 days.").nth(1).wait_for()
    runs = [body for method, path, body in server.asked if path == "/v1/runs"]
    assert [run["messages"][-1]["content"] for run in runs] == ["how long do I have?", "Only in white"]
    assert {run["threadId"] for run in runs} == {"c-1"}


def test_a_quote_is_confirmed_by_its_button_and_the_page_is_told(opened: Opened, server: TellingServer) -> None:
    page = opened()
    page.evaluate("addEventListener('storehand:quote-confirmed', (event) => { window.told = event.detail; })")
    say(page, "I want to return it")
    quote = page.get_by_role("region", name="For you to confirm")
    quote.get_by_text("$58.95").wait_for()
    assert quote.get_by_text("−$5.95").is_visible()
    quote.get_by_role("button", name="Confirm").click()
    quote.get_by_text("Confirmed").wait_for()
    assert quote.get_by_role("button", name="Confirm").count() == 0
    assert page.evaluate("window.told") == {"id": "q1", "text": "Return R-7 is registered."}
    assert server.asked[-1][2]["forwardedProps"]["agreeTo"] == "q1"


def test_a_quote_that_is_declined_cannot_be_confirmed_any_more(opened: Opened) -> None:
    page = opened()
    say(page, "I want to return it")
    page.get_by_role("button", name="No, thanks").click()
    page.get_by_role("region", name="For you to confirm").get_by_text("Declined").wait_for()
    assert page.get_by_role("button", name="Confirm").count() == 0


def test_an_answer_goes_on_after_the_page_is_loaded_again(opened: Opened, server: TellingServer) -> None:
    page = opened()
    say(page, "please wait")
    read(page, "First half,").wait_for()
    page.reload()
    read(page, "please wait").wait_for()
    read(page, "First half,").wait_for()
    server.go_on.set()
    read(page, "First half, second half.").wait_for()
    page.get_by_role("button", name="Helpful", exact=True).wait_for()
    assert read(page, "please wait").count() == 1
    assert page.locator(".row.agent .prose").count() == 1
    assert len(server.runs) == 1


def test_a_lost_connection_is_resumed_where_it_broke_and_nothing_runs_twice(opened: Opened, server: TellingServer) -> None:
    server.breaks = [3, 4]
    page = opened()
    say(page, "how long do I have?")
    read(page, "Within 30 days.").wait_for()
    page.get_by_role("button", name="Helpful", exact=True).wait_for()
    assert page.get_by_text("Reconnecting").count() == 0
    assert [path for method, path, _ in server.asked if path == "/v1/runs"] == ["/v1/runs"]
    assert len([path for method, path, _ in server.asked if path.endswith("/events")]) == 2


def test_the_customer_stops_an_answer(opened: Opened, server: TellingServer) -> None:
    page = opened()
    say(page, "please wait")
    read(page, "First half,").wait_for()
    page.get_by_role("button", name="Stop the answer").click()
    page.get_by_role("button", name="Send", exact=True).wait_for()
    assert read(page, "First half,").is_visible()
    assert read(page, "second half").count() == 0


def test_what_is_said_during_an_answer_waits_its_turn_and_can_be_taken_back(opened: Opened, server: TellingServer) -> None:
    page = opened()
    say(page, "please wait")
    read(page, "First half,").wait_for()
    say(page, "how long do I have?")
    say(page, "never mind")
    waiting = page.locator(".in-waiting")
    looks = [
        each.evaluate("one => getComputedStyle(one).backgroundColor") for each in page.locator(".row.customer .bubble").all()
    ]
    assert len(looks) == 3
    assert looks[0] != looks[1] == looks[2], "what waits looks as if it were sent"
    waiting.filter(has_text="never mind").get_by_role("button", name="Take back").click()
    assert page.get_by_role("textbox", name="Your message").input_value() == "never mind"
    page.reload()
    waiting.wait_for()
    assert waiting.count() == len(server.runs) == 1
    server.go_on.set()
    read(page, "Within 30 days.").wait_for()
    page.get_by_role("button", name="Helpful", exact=True).nth(1).wait_for()
    assert waiting.count() == 0
    # The customer had no quote before them when they wrote it.
    bodies = [body for _, path, body in server.asked if path == "/v1/runs"]
    assert bodies[1]["forwardedProps"]["sawQuote"] == ""
    assert [each["text"] for each in server.history["messages"]] == [
        "please wait", "First half, second half.", "how long do I have?", "Within **30 days**."
    ]  # fmt: skip
    page.reload()
    read(page, "Within 30 days.").wait_for()
    assert len(server.runs) == 2


def test_what_waits_is_sent_when_the_customer_stops_the_answer(opened: Opened, server: TellingServer) -> None:
    page = opened()
    say(page, "please wait")
    read(page, "First half,").wait_for()
    say(page, "how long do I have?")
    page.get_by_role("button", name="Stop the answer").click()
    read(page, "Within 30 days.").wait_for()
    assert read(page, "second half").count() == 0


def test_a_failed_answer_shows_its_reference_and_can_be_asked_for_again(opened: Opened, server: TellingServer) -> None:
    page = opened()
    say(page, "break")
    read(page, "Our answer got lost.").wait_for()
    assert page.get_by_text("Reference: ref-1").is_visible()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_timeout(300)
    assert len(server.runs) == 2


def test_the_language_switches_everything_that_the_widget_says(opened: Opened, server: TellingServer) -> None:
    page = opened()
    page.get_by_role("button", name="切换到中文").click()
    page.get_by_text("您好！我是港松的智能助手").wait_for()
    assert page.get_by_role("textbox", name="您的消息").is_visible()
    assert page.get_by_role("dialog", name="与港松对话").is_visible()
    assert page.locator("storehand-chat div[lang]").first.get_attribute("lang") == "zh"
    page.get_by_role("button", name="Switch to English").click()
    page.get_by_text("Hello! I'm Harbour & Pine's digital assistant").wait_for()


def test_a_chinese_page_gets_a_chinese_widget(opened: Opened, server: TellingServer) -> None:
    server.page_language = "zh-CN"
    page = opened()
    assert page.get_by_role("button", name="我想退货").is_visible()


def test_a_person_is_asked_for_and_what_they_write_is_shown_and_counted_while_closed(
    opened: Opened, server: TellingServer
) -> None:
    page = opened()
    page.get_by_role("button", name="Talk to a person").click()
    page.get_by_text("We have called a person.").wait_for()
    page.get_by_role("button", name="Close the chat").first.click()
    server.tell(custom("handover", {"state": "held", "staff": "Mia"}))
    server.tell(custom("staffMessage", {"id": "s1", "text": "Hello, Mia here.", "staff": "Mia", "at": "2026-11-24T03:00:00Z"}))
    page.get_by_role("button", name="Open the chat, 1 new").click()
    read(page, "Hello, Mia here.").wait_for()
    assert page.get_by_text("Mia is with you").is_visible()


def test_a_thumb_down_asks_why_and_sends_the_reason(opened: Opened, server: TellingServer) -> None:
    page = opened()
    say(page, "how long do I have?")
    page.get_by_role("button", name="Not helpful").click()
    with page.expect_response(lambda answer: "Not what I asked" in (answer.request.post_data or "")):
        page.get_by_role("button", name="Not what I asked").click()
    page.get_by_text("Thank you!").wait_for()
    feedback = [body for _, path, body in server.asked if path == "/v1/feedback"]
    assert [(each["thumb"], each["reason"]) for each in feedback] == [("down", ""), ("down", "Not what I asked")]
    assert all(each["messageId"].startswith("m-") for each in feedback)


def test_a_photo_is_made_smaller_without_its_place_and_sent(opened: Opened, server: TellingServer) -> None:
    page = opened()
    photo = Image.new("RGB", (3000, 1000), "teal")
    exif = photo.getexif()
    exif[0x010E] = "at my home"
    stored = io.BytesIO()
    photo.save(stored, "JPEG", exif=exif)
    add_photo(page, stored.getvalue())
    page.get_by_role("button", name="Send", exact=True).click()
    read(page, "I looked at what you sent.").wait_for()
    body = next(body for _, path, body in server.asked if path == "/v1/uploads")
    picture = Image.open(io.BytesIO(body[body.index(b"\xff\xd8") :]))
    assert picture.size == (1600, 533)
    assert b"at my home" not in body
    assert server.asked[-1][2]["forwardedProps"]["uploads"] == ["u-1"]


def test_a_photo_that_waits_is_taken_back_with_its_words(opened: Opened, server: TellingServer) -> None:
    page = opened()
    say(page, "please wait")
    read(page, "First half,").wait_for()
    stored = io.BytesIO()
    Image.new("RGB", (300, 100), "teal").save(stored, "JPEG")
    add_photo(page, stored.getvalue())
    say(page, "do you have this?")
    page.locator(".in-waiting").get_by_role("button", name="Take back").click()
    assert page.get_by_role("textbox", name="Your message").input_value() == "do you have this?"
    assert page.locator(".attach").get_by_role("img", name="Photo").evaluate("one => one.naturalWidth") == 300
    server.go_on.set()
    read(page, "First half, second half.").wait_for()
    page.get_by_role("button", name="Send", exact=True).click()
    read(page, "I looked at what you sent.").wait_for()
    assert len([path for _, path, _ in server.asked if path == "/v1/uploads"]) == 2


def test_a_camera_takes_a_photo_that_is_sent(opened: Opened, server: TellingServer) -> None:
    page = opened()
    finder = page.get_by_role("group", name="Take a photo")
    page.get_by_role("button", name="Take a photo").click()
    finder.wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Take a photo").click()
    finder.locator("button.main[aria-disabled=false]").wait_for()
    assert page.evaluate(FOCUSED) == "Take a photo"
    assert page.evaluate("document.querySelector('storehand-chat').shadowRoot.querySelector('video').videoWidth") > 0
    page.evaluate("window.seen = document.querySelector('storehand-chat').shadowRoot.querySelector('video').srcObject")
    page.keyboard.press("Enter")
    page.get_by_role("img", name="Photo").wait_for()
    assert page.evaluate("window.seen.active") is False
    say(page, "do you have this?")
    read(page, "I looked at what you sent.").wait_for()
    body = next(body for _, path, body in server.asked if path == "/v1/uploads")
    picture = Image.open(io.BytesIO(body[body.index(b"\xff\xd8") :])).convert("RGB")
    # What the browser's made-up camera shows has more than one colour; a frame that had not come yet would be white.
    assert min(picture.size) > 100
    assert len(picture.getcolors(picture.width * picture.height)) > 10


def test_a_camera_that_is_on_goes_off_with_the_chat(opened: Opened) -> None:
    page = opened()
    page.get_by_role("button", name="Take a photo").click()
    page.get_by_role("group", name="Take a photo").wait_for()
    page.evaluate("window.seen = document.querySelector('storehand-chat').shadowRoot.querySelector('video').srcObject")
    page.get_by_role("button", name="Close the chat").first.click()
    wait_until(lambda: page.evaluate("window.seen.active") is False)


def test_a_camera_that_may_not_be_used_is_told(opened: Opened) -> None:
    page = opened(permissions=[])
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no')); }")
    page.get_by_role("button", name="Take a photo").click()
    page.get_by_role("alert").get_by_text("The camera cannot be used.").wait_for()


def test_a_telephone_takes_photos_with_its_own_camera(opened: Opened) -> None:
    page = opened(PHONE, has_touch=True, is_mobile=True)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").click()
    assert chooser.value.element.get_attribute("capture") == "environment"


def test_without_a_camera_none_is_offered(opened: Opened, launch: Launch) -> None:
    without = launch("--use-fake-device-for-media-stream=device-count=0")
    page = opened(of=without)
    page.wait_for_timeout(300)
    assert page.get_by_role("button", name="Take a photo").count() == 0
    page.context.close()
    without.close()


def test_a_voice_note_is_recorded_cancelled_and_sent_and_shows_what_was_heard(opened: Opened, server: TellingServer) -> None:
    page = opened()
    page.get_by_role("button", name="Record a voice message").click()
    page.get_by_role("button", name="Delete the recording").click()
    page.get_by_role("button", name="Record a voice message").click()
    page.get_by_role("group", name="Recording").wait_for()
    page.wait_for_timeout(400)
    page.get_by_role("button", name="Send the recording").click()
    read(page, "do you have umbrellas").wait_for()
    assert [path for method, path, _ in server.asked if path == "/v1/uploads"] == ["/v1/uploads"]


ATTACKS = (
    "<script>window.attacked = 1</script><img src=x onerror='window.attacked = 2'>"
    "<svg onload='window.attacked = 3'><use href='https://evil.example/x.svg#y'/></svg>"
    "<iframe srcdoc='<script>parent.attacked = 4</script>'></iframe><style>*{background:url(https://evil.example/s)}</style>"
    "\n\n![picture](https://evil.example/pixel.png) [click](javascript:window.attacked=5) [data](data:text/html,<script>6</script>)"
    " [here](/relative) <a href='javascript:window.attacked=7'>raw</a> [good](https://shop.example/help)"
)


def test_hostile_text_in_any_field_neither_runs_nor_loads_anything(opened: Opened, server: TellingServer) -> None:
    def hostile(body: dict[str, Any], _: TellingServer) -> Iterator[Event]:
        yield from text(ATTACKS, body["message"])
        evil = {"id": ATTACKS, "title": ATTACKS, "stock": ATTACKS, "why": ATTACKS, "inStock": True}
        price = {"amount": 1, "currency": "USD", "text": ATTACKS}
        yield custom(
            "products", [{**evil, "price": price, "picture": "https://evil.example/p.png", "url": "javascript:attacked=8"}]
        )
        yield custom("quote", {**QUOTE, "title": ATTACKS, "lines": [ATTACKS], "total": price, "clauses": [ATTACKS]})
        yield custom("sources", [{"id": ATTACKS, "kind": "clause", "title": ATTACKS}])
        yield custom("quickReplies", [ATTACKS])
        yield custom("staffMessage", {"id": "s", "text": ATTACKS, "staff": ATTACKS, "at": "2026-11-24T03:00:00Z"})

    server.script = hostile
    page = opened()
    say(page, ATTACKS)
    page.get_by_role("button", name="Helpful", exact=True).wait_for()
    page.wait_for_timeout(300)
    assert page.evaluate("window.attacked") is None
    assert page.locator("storehand-chat :is(script, iframe, svg use, style, .prose img)").count() == 0
    links = page.locator(".prose a[href]")
    assert {link.get_attribute("href") for link in links.all()} == {"https://shop.example/help"}
    assert {link.get_attribute("rel") for link in links.all()} == {"noopener nofollow"}
    assert page.locator(".product a").count() == 0


FOCUSED = """(() => {
    const at = document.querySelector("storehand-chat").shadowRoot.activeElement;
    return at ? at.getAttribute("aria-label") || at.textContent : "";
})()"""


def test_everything_can_be_done_with_the_keyboard_and_focus_comes_back(opened: Opened, server: TellingServer) -> None:
    page = opened()
    page.keyboard.type("I want to return it")
    page.keyboard.press("Enter")
    confirm = page.get_by_role("button", name="Confirm")
    confirm.wait_for()

    def focused() -> str:
        page.wait_for_timeout(50)  # what the key caused is drawn with the next frame
        return str(page.evaluate(FOCUSED))

    def tab_to(name: str) -> None:
        for _ in range(20):
            if focused() == name:
                return
            page.keyboard.press("Shift+Tab")
        pytest.fail(f"'{name}' cannot be reached with the keyboard; the focus is on '{focused()}'")

    tab_to("Rule RET-1")
    page.keyboard.press("Enter")
    page.get_by_text("as long as they are unused").wait_for()
    assert focused() == "Close"
    page.keyboard.press("Escape")
    assert focused() == "Rule RET-1"
    page.keyboard.press("Tab")
    assert focused() == "Confirm"
    page.keyboard.press("Space")
    page.get_by_role("region", name="For you to confirm").get_by_text("Confirmed").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert focused() == "Open the chat"
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()


@pytest.mark.parametrize(("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_axe_finds_no_violation(opened: Opened, server: TellingServer, viewport: dict[str, int], scheme: str) -> None:
    page = opened(viewport, color_scheme=scheme, bypass_csp=True)
    say(page, "how long do I have?")
    page.get_by_role("button", name="Not helpful").click()
    say(page, "I want to return it")
    page.get_by_role("button", name="Confirm").wait_for()
    page.get_by_role("button", name="Helpful", exact=True).nth(1).wait_for()
    page.get_by_role("button", name="RET-1").click()
    page.get_by_text("as long as they are unused").wait_for()
    check_axe(page)
    page.get_by_role("button", name="Close", exact=True).click()
    say(page, "please wait")
    read(page, "First half,").wait_for()
    say(page, "one more thing")
    check_axe(page)
    if viewport == DESKTOP:
        page.get_by_role("button", name="Take a photo").click()
        page.get_by_role("group", name="Take a photo").wait_for()
        check_axe(page)


def test_axe_finds_no_violation_in_the_dark_from_the_right_in_chinese_on_a_phone(opened: Opened, server: TellingServer) -> None:
    server.page_language = "zh-CN"
    page = opened(PHONE, color_scheme="dark", bypass_csp=True, has_touch=True, is_mobile=True)
    page.evaluate("document.documentElement.dir = 'rtl'")
    for said in ("how long do I have?", "I want to return it"):
        page.get_by_role("textbox", name="您的消息").fill(said)
        page.get_by_role("textbox", name="您的消息").press("Enter")
    page.get_by_role("button", name="确认").wait_for()
    page.get_by_role("button", name="有帮助", exact=True).nth(1).wait_for()
    check_axe(page)
    assert page.locator(".messages").evaluate("list => list.scrollWidth <= list.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    # A finger needs room.
    small = page.evaluate("""() => [...document.querySelector("storehand-chat").shadowRoot.querySelectorAll("button")]
        .filter((each) => each.checkVisibility() && each.offsetHeight < 24).map((each) => each.outerHTML)""")
    assert small == []


def test_a_phone_is_filled_and_nothing_flows_over(opened: Opened, server: TellingServer) -> None:
    page = opened(PHONE)
    say(page, "how long do I have?")
    page.get_by_role("button", name="Helpful", exact=True).wait_for()
    box = page.get_by_role("dialog").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, PHONE["width"], PHONE["height"])
    assert page.locator(".messages").evaluate("list => list.scrollWidth <= list.clientWidth")


def test_a_page_that_reads_from_the_right_has_the_chat_at_its_left_in_the_shops_colours(opened: Opened) -> None:
    page = opened()
    page.evaluate("document.documentElement.dir = 'rtl'")
    page.evaluate("document.querySelector('storehand-chat').style.setProperty('--storehand-accent', 'rgb(122, 31, 61)')")
    say(page, "how long do I have?")
    page.get_by_role("button", name="Helpful", exact=True).wait_for()
    assert page.get_by_role("dialog").bounding_box()["x"] < 50
    assert page.locator(".messages").evaluate("list => list.scrollWidth <= list.clientWidth")
    look = page.locator(".launcher").evaluate("button => getComputedStyle(button).backgroundColor")
    assert look == "rgb(122, 31, 61)"
    # This browser asks for no motion.
    assert page.get_by_role("dialog").evaluate("panel => getComputedStyle(panel).animationName") == "none"


def test_the_page_signs_a_customer_in_and_out(opened: Opened, server: TellingServer) -> None:
    page = opened()
    page.evaluate("document.querySelector('storehand-chat').identify({ jwt: 'signed' })")
    page.evaluate("document.querySelector('storehand-chat').forget()")
    sessions = [body for _, path, body in server.asked if path == "/v1/session"]
    assert [each["identity"] for each in sessions] == [None, {"jwt": "signed"}, None]
    # The visitor's conversation goes on under the customer's name; after signing out nothing of it is left.
    assert [each["session"] for each in sessions] == [None, "token", None]


def test_the_page_opens_and_closes_the_chat_hears_of_it_and_shows_a_product_itself(opened: Opened) -> None:
    page = opened()
    page.evaluate("""() => {
        window.told = [];
        for (const name of ["open", "close", "message", "product"])
            addEventListener(`storehand:${name}`, (event) => {
                window.told.push([name, event.detail?.role ?? event.detail?.id ?? null]);
                if (name === "product") event.preventDefault();
            });
    }""")
    page.evaluate("document.querySelector('storehand-chat').close()")
    page.get_by_role("dialog").wait_for(state="hidden")
    page.evaluate("document.querySelector('storehand-chat').open()")
    page.get_by_role("dialog").wait_for()
    say(page, "how long do I have?")
    page.get_by_role("button", name="Helpful", exact=True).wait_for()
    page.get_by_role("link", name="Breeze Linen").click()
    told = [["close", None], ["open", None], ["message", "customer"], ["message", "agent"], ["product", "p001"]]
    assert page.evaluate("window.told") == told
    assert len(page.context.pages) == 1


def test_what_the_customer_looks_at_goes_with_the_message(opened: Opened, server: TellingServer) -> None:
    page = opened()
    page.evaluate("document.querySelector('storehand-chat').setPage({ product: 'p001' })")
    say(page, "is this in stock?")
    page.get_by_role("button", name="Helpful", exact=True).wait_for()
    props = next(body["forwardedProps"] for _, path, body in server.asked if path == "/v1/runs")
    assert props["page"] == {"product": "p001", "url": f"{server.address}/"}


def test_who_is_signed_in_while_the_chat_starts_gets_their_own_conversation(opened: Opened, server: TellingServer) -> None:
    page = opened()
    page.evaluate(
        "(async () => { const chat = document.querySelector('storehand-chat');"
        " chat.identify(null); chat.identify({ jwt: 'one' }); await chat.identify({ jwt: 'two' }); })()"
    )
    page.get_by_role("button", name="Where is my order?").wait_for()
    say(page, "how long do I have?")
    read(page, "Within 30 days.").wait_for()
    assert server.bearers == ["Bearer two"]
    assert page.get_by_text("could not").count() == 0


@pytest.mark.parametrize(
    ("by", "kind", "buffer", "told"),
    [
        ("drop", "image/png", "picture", "Photo"),
        ("drop", "text/plain", "words", "not a picture"),
        ("paste", "image/png", "picture", "Photo"),
    ],
)
def test_a_photo_is_dropped_on_the_panel_or_pasted(opened: Opened, by: str, kind: str, buffer: str, told: str) -> None:
    page = opened()
    page.evaluate(DROP, {"by": by, "kind": kind, "isPicture": buffer == "picture"})
    found = page.get_by_role("img", name=told) if buffer == "picture" else page.get_by_role("alert").get_by_text(told)
    found.wait_for()


def test_what_the_server_refuses_is_told_in_its_words(browser: Any, server: TellingServer) -> None:
    server.refusals = {"/v1/uploads": "This photo is too large.", "/v1/person": "Nobody is here at night."}
    page = browser.new_page(reduced_motion="reduce")
    page.goto(server.address)
    page.get_by_role("button", name="Open the chat").click()
    page.get_by_role("button", name="Where is my order?").wait_for()
    page.get_by_role("button", name="Talk to a person").click()
    page.get_by_role("alert").get_by_text("Nobody is here at night.").wait_for()
    page.evaluate(DROP, {"by": "drop", "kind": "image/png", "isPicture": True})
    page.get_by_role("img", name="Photo").wait_for()
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_role("alert").get_by_text("This photo is too large.").wait_for()
    assert page.get_by_role("img", name="Photo").is_visible()
    page.close()


DROP = """async ({ by, kind, isPicture }) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 9, height: 9 });
    const picture = await new Promise((resolve) => canvas.toBlob(resolve, kind));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([isPicture ? picture : "words"], "dropped", { type: kind }));
    const root = document.querySelector("storehand-chat").shadowRoot;
    const how = { bubbles: true, cancelable: true };
    if (by === "drop") root.querySelector("dialog").dispatchEvent(new DragEvent("drop", { dataTransfer, ...how }));
    else root.querySelector("textarea").dispatchEvent(new ClipboardEvent("paste", { clipboardData: dataTransfer, ...how }));
}"""
