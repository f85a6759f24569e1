"""The widget and the console in a browser against the real server, whose model recites."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accessibility import check_axe
from counter import QUESTION, Counter, Open, Reciter
from visits import Visit

from tools.shop.types import LocalText

Opened = Callable[..., Any]
PASSWORD = "three words apart"


@pytest.fixture
def opened(browser: Any) -> Iterator[Opened]:
    """Open one of the server's pages in a context of its own; the test fails if the page threw, wrote an error,
    opened a dialog or asked another host."""
    troubles: list[str] = []
    contexts = []

    def open_page(counter: Counter, path: str = "/") -> Any:
        context = browser.new_context(viewport={"width": 1200, "height": 820}, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda asked: (troubles.append(f"a dialog: {asked.message}"), asked.dismiss()))
        ours = (counter.url, "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(ours) else troubles.append(f"asked {asked.url}"))
        page.goto(counter.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def identify(page: Any, customer: str) -> None:
    """Tell the chat who is signed in, as a shop's page does."""
    page.locator("storehand-chat").wait_for(state="attached")
    jwt = page.locator(f"#who option[data-id={customer}]").get_attribute("value")
    page.evaluate("jwt => document.querySelector('storehand-chat').identify({ jwt })", jwt)


def chat(page: Any, customer: str = "") -> Any:
    """Open the demo page's chat, as a visitor or a demo customer; the list of what was said."""
    if customer:
        identify(page, customer)
    page.get_by_role("button", name="Open the chat").click()
    page.get_by_role("log").get_by_text("digital assistant").wait_for()
    return page.get_by_role("log")


def say(page: Any, words: str) -> None:
    field = page.get_by_role("textbox", name=re.compile("Your message|您的消息"))
    field.fill(words)
    field.press("Enter")


def sign_in(page: Any, counter: Counter) -> None:
    counter.app.state.services.accounts.add("Mia", PASSWORD)
    page.get_by_label("Name").fill("Mia")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_customer_finds_asks_and_cancels(opened: Opened, counter: Counter) -> None:
    page = opened(counter)
    log = chat(page, "c001")
    say(page, "show me a linen dress")
    card = log.locator(".product").first
    card.get_by_text("$64.90").wait_for()
    assert card.get_by_text("linen", exact=False).first.is_visible()
    say(page, "how long do I have for a refund?")
    log.get_by_role("button", name=re.compile("^Read (?!this aloud)")).first.click()
    # The answer has its number too; Escape leaves what is on top.
    page.locator(".sheet").get_by_text("REF-1").wait_for()
    page.keyboard.press("Escape")
    say(page, "cancel my order")
    quote = log.get_by_role("region", name="For you to confirm")
    quote.get_by_role("button", name="Confirm").click()
    quote.get_by_text("Confirmed").wait_for()
    log.get_by_text("is cancelled").wait_for()


def test_an_answer_goes_on_after_a_reload(opened: Opened, open_counter: Open) -> None:
    counter = open_counter(Reciter(pause_s=0.15))
    page = opened(counter)
    log = chat(page)
    say(page, QUESTION)
    log.get_by_text("Have a look").wait_for()
    page.reload()
    log.get_by_text("Which colour and size would you like?").wait_for()
    log.get_by_role("button", name="Helpful", exact=True).wait_for()
    assert log.get_by_text(QUESTION).count() == 1
    assert log.locator(".row.agent .prose").count() == 1


def test_staff_take_over_write_and_give_back(opened: Opened, counter: Counter) -> None:
    customer = opened(counter)
    log = chat(customer, "c001")
    staff = opened(counter, "/console/")
    sign_in(staff, counter)
    staff.get_by_text("Nobody is waiting").wait_for()
    say(customer, "I want to talk to a person")
    staff.locator(".badge.waiting").click()
    staff.get_by_role("button", name="Take over").click()
    customer.get_by_text("Mia is with you").wait_for()
    staff.get_by_label("Reply to the customer").last.fill("Hello, <b>Mia</b> here.")
    staff.get_by_role("button", name="Send").click()
    log.get_by_text("Hello, <b>Mia</b> here.").wait_for()
    say(customer, "my parcel is late")
    staff.get_by_role("log").get_by_text("my parcel is late").wait_for()
    staff.get_by_text("How this came about").first.click()
    staff.get_by_role("heading", name="Allowed").wait_for()
    staff.get_by_role("button", name="Give back").first.click()
    staff.get_by_role("button", name="Give back").last.click()
    customer.get_by_text("Digital assistant", exact=True).wait_for()


def test_staff_work_with_the_keyboard_alone(opened: Opened, counter: Counter) -> None:
    customer = opened(counter)
    log = chat(customer, "c001")
    say(customer, "I want to talk to a person")
    log.get_by_text(re.compile("colleague|person")).first.wait_for()
    counter.app.state.services.accounts.add("Mia", PASSWORD)
    staff = opened(counter, "/console/")

    def tab_to(target: Any) -> None:
        target.wait_for()
        for _ in range(40):
            if target.evaluate("each => each === document.activeElement"):
                return
            staff.keyboard.press("Tab")
        pytest.fail(f"{target} cannot be reached with the keyboard")

    def press(target: Any) -> None:
        tab_to(target)
        staff.keyboard.press("Enter")

    tab_to(staff.get_by_label("Name"))
    staff.keyboard.type("Mia")
    tab_to(staff.get_by_label("Password"))
    staff.keyboard.type(PASSWORD)
    staff.keyboard.press("Enter")
    press(staff.get_by_role("link").filter(has=staff.locator(".badge.waiting")))
    press(staff.get_by_role("button", name="Take over"))
    customer.get_by_text("Mia is with you").wait_for()
    tab_to(staff.get_by_label("Reply to the customer").last)
    staff.keyboard.type("Hello, Mia here.")
    press(staff.get_by_role("button", name="Send"))
    log.get_by_text("Hello, Mia here.").wait_for()
    press(staff.get_by_role("button", name="Give back").first)
    press(staff.get_by_role("button", name="Give back").last)
    customer.get_by_text("Digital assistant", exact=True).wait_for()


@pytest.mark.parametrize("viewport", [{"width": 1200, "height": 820}, {"width": 390, "height": 844}])
def test_the_consoles_pages_have_no_violation_and_switch_language(
    opened: Opened, counter: Counter, browser: Any, viewport: dict[str, int]
) -> None:
    customer = opened(counter)
    log = chat(customer, "c001")
    say(customer, "show me a linen dress")
    log.locator(".product").first.wait_for()
    say(customer, "I want to talk to a person")
    log.get_by_text(re.compile("colleague|person")).first.wait_for()
    context = browser.new_context(bypass_csp=True, viewport=viewport)
    page = context.new_page()
    page.goto(f"{counter.url}/console/")

    def check() -> None:
        check_axe(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]

    check()
    sign_in(page, counter)
    page.locator(".badge.waiting").click()
    page.get_by_text("How this came about").first.click()
    check()
    page.get_by_role("link", name="Analytics").click()
    page.get_by_role("img", name="Conversations a day").wait_for()
    check()
    page.get_by_role("link", name="Rules and FAQ").click()
    page.get_by_text("Import a file").click()
    table = b"id,question,answer\nskis,Do you wax skis?,Yes.\n"
    page.get_by_label("File").set_input_files({"name": "faq.csv", "mimeType": "text/csv", "buffer": table})
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Import (1)").click()
    page.get_by_text("Imported.").wait_for()
    check()
    assert counter.shop.clause("skis") is not None
    page.get_by_role("link", name="Rules that decide").click()
    page.get_by_role("button", name="Check").click()
    page.get_by_text("Nothing is wrong with it.").wait_for()
    check()
    page.get_by_role("link", name="Analytics").click()
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="数据分析").wait_for()
    context.close()


PAYLOAD = (
    "<img src=x onerror=window.attacked=1><svg onload=window.attacked=2><script>window.attacked=3</script>"
    "![seen](https://evil.example/p.png)[go](javascript:window.attacked=4)[get](data:text/html,<script>alert(5)</script>)"
    "<!--><img src=//evil.example/c.png onerror=alert(6)>--><a href='javascript:alert(7)'>raw</a>"
)
RUNS = "[onerror], [onload], img[src='x'], [src*='evil.example'], a[href^='javascript'], a[href^='data'], .prose :is(script, svg, img)"


def test_payloads_in_product_texts_names_and_model_output_neither_run_nor_load_anything(
    opened: Opened, open_counter: Open, shop: Path
) -> None:
    with sqlite3.connect(shop / "shop.sqlite") as database:
        database.execute("UPDATE customers SET name = ? WHERE id = 'c001'", [f"Anna {PAYLOAD}"])
        database.execute("UPDATE order_items SET title = json_object('en', ?)", [f"Kettle {PAYLOAD}"])
    counter = open_counter(Reciter(text=f"Have a look. {PAYLOAD} It is soft. "))
    product = counter.shop.product("p001")
    assert product is not None
    texts = {"title": LocalText(en=f"Breeze {PAYLOAD}"), "description": LocalText(en=f"Soft. {PAYLOAD}")}
    counter.shop.put(product.model_copy(update=texts))
    counter.app.state.services.accounts.add("Mia <img src=x onerror=window.attacked=5>", PASSWORD)
    customer = opened(counter)
    log = chat(customer, "c001")
    say(customer, QUESTION)
    log.get_by_role("button", name="Helpful", exact=True).wait_for()
    # It is shown as what it is: words.
    written = log.locator(".row.agent").last.inner_text()
    assert all(part in written for part in ("<script>window.attacked=3</script>", "<svg onload", "<!--><img src=//evil")), (
        written
    )
    say(customer, "show me breeze dress")
    log.get_by_text("Say “more”").wait_for()
    customer.get_by_role("button", name="Send", exact=True).wait_for()
    say(customer, "cancel my order")
    log.get_by_role("region", name="For you to confirm").wait_for()
    say(customer, f"I want a person {PAYLOAD.partition('[get]')[0]}")
    staff = opened(counter, "/console/")
    staff.get_by_label("Name").fill("Mia <img src=x onerror=window.attacked=5>")
    staff.get_by_label("Password").fill(PASSWORD)
    staff.get_by_role("button", name="Sign in").click()
    staff.locator(".badge.waiting").click()
    staff.get_by_role("button", name="Take over").click()
    for trace in staff.get_by_text("How this came about").all():
        trace.click()
    customer.get_by_text("is with you").wait_for()
    for link, seen in (("Catalogue", "Breeze <img"), ("Analytics", "What customers want"), ("Review", "Sentences from which")):
        staff.get_by_role("link", name=link).click()
        staff.get_by_text(seen).first.wait_for()
    staff.get_by_role("link", name="Catalogue").click()
    staff.get_by_role("link", name="Breeze <img").click()
    staff.get_by_role("button", name="Save").wait_for()
    for page in (customer, staff):
        assert page.evaluate("window.attacked") is None
        assert page.locator(RUNS).count() == 0


def test_staff_change_a_price_and_erase_a_customer(opened: Opened, counter: Counter) -> None:
    with Visit(counter, "c001") as visit:
        visit.say("show me a linen dress")
    page = opened(counter, "/console/#/catalogue")
    sign_in(page, counter)
    page.get_by_label("Search").fill("breeze linen")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Breeze Linen Midi Dress").click()
    page.get_by_label("Price (USD): light blue, XS").fill("70.5")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    changed = counter.shop.product("p001")
    assert changed is not None
    assert changed.variants[0].price_cents == 7050
    page.get_by_role("link", name="Customers").click()
    page.get_by_label("Customer's id").fill("c001")
    page.get_by_role("button", name="Erase everything").click()
    assert page.get_by_role("button", name="Erase for good").is_disabled()
    page.get_by_label("Type the customer's id").fill("c001")
    page.get_by_role("button", name="Erase for good").click()
    page.get_by_text('"receipt"').wait_for()
    with Visit(counter, "c001") as visit:
        assert visit.history()["messages"] == []
