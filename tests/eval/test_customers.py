"""The simulated customer is held to its part: it tells only what it knows, agrees only to what it wants, and stays until that is done."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from agent.events import Step, Turn
from agent.turn import Message
from eval.customers.model import DONE, ModelCustomer
from eval.customers.noise import noisy
from eval.customers.scripted import ScriptedCustomer
from eval.customers.simulated import Facts, SimulatedCustomer
from eval.customers.wishes import Wish, differences
from eval.customers.wording import Wording
from tests.places import shared_data
from tools.kit.clock import system_clock
from tools.shop.importers import import_shop
from tools.shop.quotes import Quote, ReturnRequest, Units
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import Customer, Order

SEEDS = range(12)
WHO = "Please tell me the e-mail address of your account, or your name and postcode."


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteShop]:
    folder: Path = tmp_path_factory.mktemp("tau")
    import_shop("tau-retail", shared_data("tau_retail/tau1"), folder)
    with SqliteShop.open(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def owner(shop: SqliteShop) -> Customer:
    found = shop.customer("mohamed_khan_3010")
    assert found
    return found


@pytest.fixture(scope="module")
def order(shop: SqliteShop) -> Order:
    return next(each for each in shop.orders_of("mohamed_khan_3010") if each.id == "#W4887592")


@pytest.fixture(scope="module")
def back(order: Order, owner: Customer) -> Wish:
    return Wish("return", order, order.items[:2], method=next(m for m in owner.payment_methods if m.kind == "paypal"))


def customer(wishes: list[Wish], owner: Customer, seed: int, **how: object) -> SimulatedCustomer:
    facts = Facts(name=owner.name, email=owner.email, postcode=owner.address.postcode)
    return SimulatedCustomer(wishes, facts, owner, seed=seed, **how)  # type: ignore[arg-type]


def answer(reply: str, quote: Quote | None = None, tool: str = "quote_return") -> Turn:
    return Turn(said="", language="en", reply=reply, quote=quote, steps=(Step(tool=tool, arguments={}, facts=()),))


def text_of(message: Message | None) -> str:
    assert message is not None
    assert isinstance(message.text, str)
    return message.text


def quote_for(shop: SqliteShop, owner: Customer, *items: str, order: Order) -> Quote:
    request = ReturnRequest(
        order_id=order.id, items=tuple(Units(variant_id=each) for each in items), refund_to="paypal_1249653"
    )
    return shop.ledger.prepare(request, owner.id, system_clock())


AGREES = re.compile(r"^\W*(?:yes|sure|ok|that's correct)\b", re.I)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_agrees_only_to_what_it_wants_and_stays_until_that_is_done(
    seed: int, shop: SqliteShop, owner: Customer, order: Order, back: Wish
) -> None:
    speaker = customer([back], owner, seed)
    said = [text_of(speaker.next(None)), text_of(speaker.next(answer(WHO)))]
    too_little = quote_for(shop, owner, back.items[0].variant_id, order=order)
    said.append(text_of(speaker.next(answer("Shall I do it?", too_little))))
    assert not AGREES.search(said[-1])
    right = quote_for(shop, owner, *(item.variant_id for item in back.items), order=order)
    said.append(text_of(speaker.next(answer("Shall I do it?", right))))
    assert AGREES.search(said[-1])
    # Something else came up: what was agreed to is not done, and the customer does not leave.
    assert speaker.next(answer("Once more, please?", right)) is not None
    assert speaker.next(answer("It is registered.", tool="commit_quote")) is None
    assert (speaker.given_up, speaker.mistakes) == ([], [])


@pytest.mark.parametrize("seed", SEEDS)
def test_it_tells_nothing_that_it_does_not_know_and_no_wish_before_its_turn(
    seed: int, shop: SqliteShop, owner: Customer, order: Order, back: Wish
) -> None:
    second = Wish("question", asks="Which address do you have for my order?", answers=("never said",))
    speaker = customer([back, second], owner, seed, persona="chatty")
    said = [text_of(speaker.next(None))]
    for reply in (WHO, "Which order is it about?", "Which item is it about?", "Which payment method shall it be?"):
        said.append(text_of(speaker.next(answer(reply))))
    everything = " ".join(said)
    assert "address do you have" not in everything
    assert not any(item.variant_id in everything for item in order.items), "no customer knows the ids of a database"
    known = f"{order.id} {owner.email} {owner.address.postcode} {owner.name} " + " ".join(
        value for item in order.items for value in item.options.values()
    )
    numbers = set(re.findall(r"\d{3,}", everything))
    assert numbers <= set(re.findall(r"\d{3,}", known)), everything


def test_an_agent_that_understands_nothing_is_left_after_some_tries(owner: Customer, back: Wish) -> None:
    speaker = customer([back], owner, 1)
    message, turns = speaker.next(None), 0
    while message is not None:
        assert not AGREES.search(text_of(message))
        message, turns = speaker.next(answer("I am not sure what you need.")), turns + 1
    assert 2 < turns < 8
    assert speaker.given_up == [back]


def test_it_is_gone_when_a_person_takes_over(owner: Customer, back: Wish) -> None:
    speaker = customer([back, Wish("person", asks="Please send an invoice.")], owner, 1)
    speaker.next(None)
    assert speaker.next(Turn(said="", language="en", reply="A colleague will go on.", held=True)) is None
    assert speaker.given_up == [back], "being passed on is right for what only a person can do"


def test_a_question_is_asked_until_its_answer_was_said(owner: Customer) -> None:
    wish = Wish("question", asks="How much is on my gift card?", ways=("What is my balance?",), answers=("61.5",))
    speaker = customer([wish], owner, 3)
    message = speaker.next(None)
    while message and "gift card" not in text_of(message) and "balance" not in text_of(message):
        message = speaker.next(answer("Hello! What can I do for you?"))
    assert speaker.next(answer("There is $161.50 on it.")) is not None
    assert speaker.next(answer("There is $61.5 on it.")) is None
    assert speaker.given_up == []


def test_the_same_seed_says_the_same_and_others_vary(owner: Customer, order: Order, back: Wish) -> None:
    said = [Wording("en", seed, owner.payment_methods).wish(back, name_method=True) for seed in (*SEEDS, *SEEDS)]
    assert said[: len(SEEDS)] == said[len(SEEDS) :]
    assert len(set(said)) > len(SEEDS) // 2
    assert all(order.id in each or "whole order" in each for each in said)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_chinese_it_speaks_chinese(seed: int, owner: Customer, back: Wish) -> None:
    names = {item.product_id: "台灯" for item in back.items}
    names |= {value.lower(): "白色" for item in back.items for value in item.options.values()}
    said = Wording("zh", seed, owner.payment_methods, names).wish(back)
    assert re.search(r"[退]", said)
    assert not re.search(r"[a-z]{3,}", said.replace("paypal", ""))


def test_what_is_wrong_with_an_offer_is_told(shop: SqliteShop, owner: Customer, order: Order, back: Wish) -> None:
    assert differences(quote_for(shop, owner, order.items[0].variant_id, order=order), back) == ["too_few"]
    gift = next(m for m in owner.payment_methods if m.kind == "paypal").model_copy(update={"id": "gift_card_0"})
    other = Wish("return", order, order.items[:1], method=gift)
    assert differences(quote_for(shop, owner, order.items[0].variant_id, order=order), other) == ["method"]
    assert differences(quote_for(shop, owner, order.items[0].variant_id, order=order), Wish("cancellation", order)) == ["kind"]


@pytest.mark.parametrize("noise", ["typos", "speech"])
def test_noise_leaves_numbers_and_addresses_whole(noise: str) -> None:
    from random import Random

    text = "Please cancel my complete order #W2611340, my e-mail is a.b@example.com."
    for seed in range(30):
        heard = noisy(text, noise, Random(seed))  # type: ignore[arg-type]
        assert "#W2611340" in heard
        assert "a.b@example.com" in heard
    assert noisy(text, "none", Random(1)) == text


def test_a_script_is_said_as_written() -> None:
    speaker = ScriptedCustomer(["one", Message(agree_to="Q1")])
    assert [speaker.next(None), speaker.next(None), speaker.next(None)] == [Message(text="one"), Message(agree_to="Q1"), None]


def test_a_language_model_may_play_the_customer_and_what_it_makes_up_is_its_own_mistake() -> None:
    says = ["Hi, I want to send my lamp back.", "It is order 99871.", DONE]
    model = GenericFakeChatModel(messages=iter([AIMessage(each) for each in says]))
    speaker = ModelCustomer(model, "return the lamp of order 1042", {"e-mail": "a@example.com"})
    assert text_of(speaker.next(None)) == says[0]
    assert text_of(speaker.next(answer("Which order is it about?"))) == says[1]
    assert speaker.mistakes == ["made up 99871"]
    assert speaker.next(answer("I cannot find that order.")) is None
