"""Conversations about orders on the real default models, in both languages: what stands in the shop's books afterwards."""

import re
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from demo_copy import DemoCopy, Talk, is_chinese, sources, tools
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from agent.models.scripted import Scripted
from agent.turn import Agent, Message
from tools.kit.errors import ModelFailed
from tools.shop.quotes import ExchangeRequest, ReturnRequest

pytestmark = pytest.mark.real

CANCELLING = "cancel order 1076"
"""c001's: pending, $86.60 by PayPal."""


@pytest.fixture
def unheard(copy: DemoCopy) -> Agent:
    """An agent whose chat model is down: what code decides alone must not wait for it."""
    return copy.agent(Scripted(replies=[ModelFailed("it is down")] * 20))


# Returns


def test_a_jacket_that_does_not_fit_goes_back(copy: DemoCopy) -> None:
    talk = copy.talk("c001")
    before = copy.books()
    turn = talk.say("I want to return the jacket that doesn't fit")
    assert tools(turn) == ["quote_return"]
    assert turn.quote is not None
    assert isinstance(turn.quote.request, ReturnRequest)
    assert turn.quote.request.reason == "does_not_fit"
    assert [units.variant_id for units in turn.quote.request.items] == ["p054-yellow-m"]
    assert {"clause:RET-1", f"quote:{turn.quote.id}"} <= sources(turn)
    assert turn.language == "en"
    assert copy.books() == before
    assert tools(talk.say("yes please")) == ["commit_quote"]
    # $89.90 less the label; the money waits for the parcel.
    assert copy.moved() == [("1057", "refund_promised", "c001-card-4242", 8300)]
    order = copy.order("1057")
    assert order.status == "return_requested"
    assert [payment.kind for payment in order.payments] == ["payment"]


def test_one_of_three_items_goes_back_in_chinese(copy: DemoCopy) -> None:
    talk = copy.talk("c002")
    assert tools(talk.say("我要退货")) == ["quote_return"]
    turn = talk.say("1054", "第二个", "不想要了", "是的")
    assert turn.quote is not None
    assert isinstance(turn.quote.request, ReturnRequest)
    assert [units.variant_id for units in turn.quote.request.items] == ["p074-sand-m"]
    assert turn.quote.request.opened is False
    assert turn.language == "zh"
    assert is_chinese(turn.reply)
    assert copy.moved() == []
    assert tools(talk.say("好的")) == ["commit_quote"]
    assert copy.moved() == [("1054", "refund_promised", "c002-wechat-pay", 2690)]


@pytest.fixture
def two_pairs(copy: DemoCopy) -> DemoCopy:
    """c001 has two pairs of socks, $16.90 each, delivered yesterday with a pair of boots."""
    delivered = (copy.clock() - timedelta(days=1)).isoformat()
    copy.edit("UPDATE orders SET status = 'delivered' WHERE id = '1066'")
    copy.edit("UPDATE fulfilments SET delivered_at = ? WHERE order_id = '1066'", delivered)
    return copy


def test_one_of_two_pieces_goes_back_and_then_the_other(two_pairs: DemoCopy, unheard: Agent) -> None:
    talk = two_pairs.talk("c001", unheard)
    for done in (1, 2):
        turn = talk.say("I want to return one pair of the socks from order 1066", "too small, and it is still sealed")
        assert turn.quote is not None
        assert isinstance(turn.quote.request, ReturnRequest)
        assert [(units.variant_id, units.quantity) for units in turn.quote.request.items] == [("p077-mustard-35-38", 1)]
        talk.say("yes")
        assert two_pairs.moved() == [("1066", "refund_promised", "c001-card-4242", 1690 - 690)] * done
    turn = talk.say("I want to return one pair of the socks from order 1066", "too small, and it is still sealed")
    assert turn.quote is None
    assert len(two_pairs.moved()) == 2


@pytest.mark.parametrize("fewer", ["just one of them", "yes, but only one", "只退一双"])
def test_fewer_pieces_are_offered_when_fewer_are_meant(two_pairs: DemoCopy, unheard: Agent, fewer: str) -> None:
    talk = two_pairs.talk("c001", unheard)
    turn = talk.say("return the socks from order 1066", "too small, and it is still sealed")
    assert turn.quote is not None
    assert turn.quote.refund_cents == 2 * 1690 - 690
    turn = talk.say(fewer)
    assert turn.quote is not None
    assert turn.quote.refund_cents == 1690 - 690
    talk.say("yes")
    assert two_pairs.moved() == [("1066", "refund_promised", "c001-card-4242", 1690 - 690)]


def test_several_items_named_in_one_breath_go_back_together(copy: DemoCopy) -> None:
    talk = copy.talk("c006")
    turn = talk.say("I want to return the fleece and the gloves from order 1048", "they don't fit")
    assert turn.quote is not None
    assert isinstance(turn.quote.request, ReturnRequest)
    assert {units.variant_id for units in turn.quote.request.items} == {"p070-grey-m", "p119-burgundy-m"}
    talk.say("yes")
    # Less the label and a tenth: the order had a discount.
    assert copy.moved() == [("1048", "refund_promised", "c006-card-0005", 4490 + 1990 - 690 - 648)]


def test_a_faulty_thing_costs_its_owner_no_postage(copy: DemoCopy) -> None:
    talk = copy.talk("c006")
    turn = talk.say("I'd like to return the fleece", "it came with a hole in it")
    assert turn.quote is not None
    assert turn.quote.postage_by == "shop"
    assert "clause:WAR-1" in sources(turn)
    talk.say("ok")
    assert copy.moved() == [("1048", "refund_promised", "c006-card-0005", 4490 - 449)]


@pytest.mark.parametrize(
    ("customer", "said", "clause"),
    [
        ("c016", ("I want to return the gift card",), "clause:GFT-2"),
        ("c001", ("I want to return the cotton briefs from order 1057", "I changed my mind", "I opened it"), "clause:RET-4"),
        ("c024", ("牛仔裤退货", "太大了"), "clause:RET-1"),
        ("c002", ("茶叶想退", "不想要了"), "clause:RET-6"),
    ],
)
def test_what_the_rules_exclude_stays(copy: DemoCopy, customer: str, said: tuple[str, ...], clause: str) -> None:
    before = copy.books()
    turn = copy.talk(customer).say(*said)
    assert clause in sources(turn)
    assert turn.quote is None
    assert turn.handoff is None
    assert copy.books() == before


# Where the money goes


def test_a_refund_goes_to_the_gift_card_instead(copy: DemoCopy, unheard: Agent) -> None:
    talk = copy.talk("c003", unheard)
    first = talk.say("return the flannel shirt", "too small")
    assert first.quote is not None
    # As it was paid: card first, the rest to the gift card that paid too.
    assert [move.payment_method_id for move in first.quote.moves] == ["c003-card-5454", "c003-gift-card"]
    second = talk.say("to my gift card instead")
    assert second.quote is not None
    assert [move.payment_method_id for move in second.quote.moves] == ["c003-gift-card"]
    talk.say("yes")
    assert copy.moved() == [("1053", "refund_promised", "c003-gift-card", 3990 - 690)]


def test_a_yes_with_another_wish_is_a_new_offer_and_no_agreement(copy: DemoCopy, unheard: Agent) -> None:
    talk = copy.talk("c003", unheard)
    first = talk.say("return the flannel shirt", "too small")
    second = talk.say("yes, but to my gift card")
    assert first.quote is not None
    assert second.quote is not None
    assert first.quote.id != second.quote.id
    assert copy.moved() == []


def test_a_refund_goes_to_no_method_that_is_not_the_customers(copy: DemoCopy, unheard: Agent) -> None:
    talk = copy.talk("c003", unheard)
    talk.say("return the flannel shirt", "too small")
    for elsewhere in ("to paypal instead", "no, to my wechat", "to the card ending 4242 please"):
        turn = talk.say(elsewhere)
        moves = turn.quote.moves if turn.quote else ()
        assert {move.payment_method_id for move in moves} <= {"c003-card-5454", "c003-gift-card"}
    assert copy.moved() == []


# Exchanges


def test_a_size_that_is_sold_out_and_then_one_that_is_not(copy: DemoCopy) -> None:
    copy.edit("UPDATE variants SET stock = 0 WHERE id = 'p052-teal-l'")
    copy.edit("UPDATE variants SET stock = 3 WHERE id = 'p052-teal-xl'")
    old = copy.stock("p052-teal-m")
    talk = copy.talk("c006")
    turn = talk.say("exchange the padded jacket from order 1048 for size L please")
    assert tools(turn) == ["quote_exchange"]
    assert turn.quote is None
    turn = talk.say("XL then")
    assert turn.quote is not None
    assert isinstance(turn.quote.request, ExchangeRequest)
    assert turn.quote.request.swaps[0].new_variant_id == "p052-teal-xl"
    talk.say("yes")
    assert copy.order("1048").status == "exchange_requested"
    # Put aside; the old one is counted when it is back.
    assert copy.stock("p052-teal-xl") == 2
    assert copy.stock("p052-teal-m") == old
    assert copy.moved() == []


def test_a_size_that_is_not_made_in_a_colour_is_not_promised_and_what_there_is_can_be_picked(copy: DemoCopy) -> None:
    talk = copy.talk("c006")
    turn = talk.say("please swap the parka of order 1041 for XXL in olive")
    assert turn.quote is None
    assert "XXL, black" in turn.reply or "black, XXL" in turn.reply
    turn = talk.say("number 1 then")
    assert turn.quote is not None
    assert isinstance(turn.quote.request, ExchangeRequest)
    assert turn.quote.request.swaps[0].new_variant_id == "p050-black-xxl"


def test_a_size_that_is_sold_out_and_then_one_that_is_not_in_chinese(copy: DemoCopy) -> None:
    copy.edit("UPDATE variants SET stock = 0 WHERE id = 'p053-cream-s'")
    copy.edit("UPDATE variants SET stock = 3 WHERE id = 'p053-cream-l'")
    talk = copy.talk("c002")
    turn = talk.say("订单1054的大衣想换成S码")
    assert tools(turn) == ["quote_exchange"]
    assert turn.quote is None
    turn = talk.say("那换L码")
    assert turn.quote is not None
    assert is_chinese(turn.reply)
    assert copy.order("1054").status == "delivered"
    talk.say("好的")
    assert copy.order("1054").status == "exchange_requested"
    assert copy.stock("p053-cream-l") == 2


def test_an_exchange_becomes_a_return(copy: DemoCopy) -> None:
    talk = copy.talk("c006")
    talk.say("exchange the padded jacket from order 1048 for size L please")
    turn = talk.say("no, I want my money back for the padded jacket")
    assert tools(turn) == ["quote_return"]
    assert copy.books()["quotes"] == []


# Cancellations and changes


@pytest.mark.parametrize(("customer", "said"), [("c001", "cancel order 1066"), ("c002", "取消订单 1063")])
def test_an_order_on_its_way_is_not_cancelled(copy: DemoCopy, customer: str, said: str) -> None:
    before = copy.books()
    talk = copy.talk(customer)
    turn = talk.say(said)
    assert tools(turn) == ["quote_cancellation"]
    assert turn.quote is None
    assert "clause:CAN-1" in sources(turn)
    assert turn.language == ("zh" if customer == "c002" else "en")
    talk.say("好的" if customer == "c002" else "yes")
    assert copy.books() == before


@pytest.mark.parametrize(
    ("customer", "order", "said", "yes", "moved"),
    [
        ("c001", "1076", CANCELLING, "ok, do it", ("1076", "refund", "c001-paypal", 8660)),
        ("c002", "1079", "取消订单 1079", "确认", ("1079", "refund", "c002-wechat-pay", 6980)),
    ],
)
def test_a_pending_order_is_cancelled_and_paid_back_at_once(
    copy: DemoCopy, customer: str, order: str, said: str, yes: str, moved: tuple[Any, ...]
) -> None:
    stock = {item.variant_id: copy.stock(item.variant_id) for item in copy.order(order).items}
    talk = copy.talk(customer)
    assert talk.say(said).quote is not None
    assert tools(talk.say(yes)) == ["commit_quote"]
    assert copy.moved() == [moved]
    assert copy.order(order).status == "cancelled"
    assert [(payment.kind, payment.amount_cents) for payment in copy.order(order).payments][-1] == ("refund", moved[-1])
    for item in copy.order(order).items:
        assert copy.stock(item.variant_id) == (stock[item.variant_id] or 0) + item.quantity
    talk.say(yes, said)
    assert copy.moved() == [moved]


@pytest.mark.parametrize(
    ("customer", "order", "said", "line1", "city"),
    [
        (
            "c003",
            "1077",
            ("can you change the address of my order", "12 Oak Street, Apt 4, Portland, ME 04101", "yes"),
            "12 Oak Street",
            "Portland",
        ),
        (
            "c008",
            "1078",
            ("please change the delivery address of order 1078 to 10 Mill Street, Leeds LS1 4AB", "that's right"),
            "10 Mill Street",
            "Leeds",
        ),
        ("c007", "1074", ("把订单1074的地址改成广州市天河区体育西路 12 号", "好的"), "天河区体育西路12号", "广州市"),
    ],
)
def test_an_order_goes_to_another_address(
    copy: DemoCopy, customer: str, order: str, said: tuple[str, ...], line1: str, city: str
) -> None:
    before, own = copy.order(order), copy.shop.customer(customer)
    talk = copy.talk(customer)
    talk.say(*said[:-1])
    assert copy.order(order) == before
    talk.say(said[-1])
    address = copy.order(order).address
    assert (address.line1, address.city, address.country) == (line1, city, before.address.country)
    assert copy.shop.customer(customer) == own
    assert copy.moved() == []


def test_a_moved_customer_gets_a_new_address_and_orders_keep_theirs(copy: DemoCopy) -> None:
    orders = copy.shop.orders_of("c011")
    talk = copy.talk("c011")
    talk.say("我搬家了，新地址是成都市锦江区春熙路 8 号 邮编 610021", "好")
    customer = copy.shop.customer("c011")
    assert customer is not None
    assert customer.address.postcode == "610021"
    assert "春熙路" in customer.address.line1
    assert copy.shop.orders_of("c011") == orders


def test_an_order_is_sent_to_no_other_country(copy: DemoCopy) -> None:
    before = copy.books()
    turn = copy.talk("c012").say(
        "change the delivery address of order 1075 to 5 Elm Street, Boston, MA 02128, United States", "yes"
    )
    assert turn.quote is None
    assert copy.books() == before


def test_an_item_is_left_out_once(copy: DemoCopy) -> None:
    stock = copy.stock("p133-brown")
    talk = copy.talk("c012")
    talk.say("please remove the chef's knife from my order", "yes")
    order = copy.order("1075")
    assert "p133-brown" not in {item.variant_id for item in order.items}
    assert order.status == "pending_changed"
    assert copy.stock("p133-brown") == (stock or 0) + 1
    assert copy.moved() == [("1075", "refund", "c012-card-3305", 6490)]
    assert talk.say("please remove the apron from my order").quote is None


def test_what_is_called_an_exchange_before_it_is_sent_changes_the_order(copy: DemoCopy) -> None:
    stock = copy.stock("p096-grey-42")
    talk = copy.talk("c026")
    talk.say("swap the hiking boots in order 1080 for size 42", "yes")
    assert [item.variant_id for item in copy.order("1080").items] == ["p096-grey-42"]
    assert copy.order("1080").status == "pending_changed"
    assert copy.stock("p096-grey-42") == (stock or 0) - 1
    assert copy.moved() == []


def test_an_order_is_paid_with_a_gift_card_instead(copy: DemoCopy) -> None:
    talk = copy.talk("c003")
    talk.say("pay order 1077 with my gift card instead", "yes")
    assert copy.moved() == [("1077", "payment", "c003-gift-card", 3980), ("1077", "refund", "c003-card-5454", 3980)]
    customer = copy.shop.customer("c003")
    assert customer is not None
    assert {each.id: each.balance_cents for each in customer.payment_methods}["c003-gift-card"] == 7350 - 3980


# Sizes


@pytest.mark.parametrize(
    ("customer", "said", "language"),
    [
        ("c001", ("what size in the Breeze Linen Midi Dress?", "I am 165 cm and 52 kg"), "en"),
        ("c002", ("微风亚麻中长连衣裙我穿什么码？身高165体重52公斤",), "zh"),
    ],
)
def test_a_size_is_advised_from_height_and_weight(copy: DemoCopy, customer: str, said: tuple[str, ...], language: str) -> None:
    before = copy.books()
    turn = copy.talk(customer).say(*said)
    assert tools(turn) == ["advise_size"]
    assert "body-model" in sources(turn)
    assert any(source.startswith("size-chart:") for source in sources(turn))
    assert re.search(r"\bS\b|S 码", turn.reply)
    assert turn.language == language
    assert copy.books() == before


@pytest.mark.parametrize(("said", "us"), [("convert EU 38 to US women's shoes", "US 7"), ("女鞋欧码38换成美码是多少", "US 7")])
def test_a_european_shoe_size_is_told_in_american(copy: DemoCopy, said: str, us: str) -> None:
    turn = copy.talk("c001").say(said)
    assert tools(turn) == ["advise_size"]
    assert us in turn.reply
    assert all(source.startswith("size-chart:") for source in sources(turn))


# Agreement


NO_AGREEMENT = [
    "yes, but only if the shipping is free",
    "yes if it is free",
    "yes?",
    "should I say yes?",
    "yes or no, what would you do",
    "I did not say yes",
    "yes to the weather",
    "ok but what about the fee",
    "好的吗？",
    "可以吗",
    "好的，但是退到银行卡",
    "如果免运费就好",
    "不是的",
    "我没同意",
    "是不是要付运费",
]


@pytest.mark.parametrize("said", NO_AGREEMENT)
def test_only_a_plain_yes_agrees(copy: DemoCopy, unheard: Agent, said: str) -> None:
    before = copy.books()
    talk = copy.talk("c001", unheard)
    assert talk.say(CANCELLING).quote is not None
    assert "commit_quote" not in tools(talk.say(said))
    assert copy.books() == before


@pytest.mark.parametrize(
    "said", ["yes", "Yes!", "YES PLEASE", "ok, go ahead", "Sure, thank you.", "好的", "可以，谢谢", "行吧", "确认", "嗯嗯"]
)
def test_a_plain_yes_agrees_in_either_language(copy: DemoCopy, unheard: Agent, said: str) -> None:
    talk = copy.talk("c001", unheard)
    talk.say(CANCELLING, said)
    assert copy.moved() == [("1076", "refund", "c001-paypal", 8660)]


@pytest.mark.parametrize("no", ["no", "No thanks.", "never mind", "不用了", "算了"])
def test_a_refusal_moves_nothing_and_ends_the_offer(copy: DemoCopy, unheard: Agent, no: str) -> None:
    before = copy.books()
    talk = copy.talk("c001", unheard)
    talk.say(CANCELLING)
    assert tools(talk.say(no)) == []
    talk.say("yes", "好的")
    assert copy.books() == before


@pytest.mark.parametrize("between", ["what are the opening hours?", "hello", "谢谢", "where is order 1066?"])
def test_a_yes_after_another_message_moves_nothing(copy: DemoCopy, unheard: Agent, between: str) -> None:
    before = copy.books()
    talk = copy.talk("c001", unheard)
    talk.say(CANCELLING, between, "yes")
    assert copy.books() == before


def test_a_yes_that_nobody_asked_for_moves_nothing(copy: DemoCopy, unheard: Agent) -> None:
    before = copy.books()
    copy.talk("c001", unheard).say("yes", "yes, I agree", "好的")
    assert copy.books() == before


def test_two_yeses_move_money_once(copy: DemoCopy, unheard: Agent) -> None:
    copy.talk("c001", unheard).say(CANCELLING, "yes", "yes", "yes")
    assert len(copy.moved()) == 1


def test_a_button_agrees_once_however_often_it_is_pressed(copy: DemoCopy, unheard: Agent) -> None:
    talk = copy.talk("c001", unheard)
    quote = talk.say(CANCELLING).quote
    assert quote is not None
    for _ in range(3):
        assert tools(talk.send(Message(agree_to=quote.id))) == ["commit_quote"]
        assert copy.moved() == [("1076", "refund", "c001-paypal", 8660)]


def test_the_other_button_moves_nothing(copy: DemoCopy, unheard: Agent) -> None:
    before = copy.books()
    talk = copy.talk("c001", unheard)
    quote = talk.say(CANCELLING).quote
    assert quote is not None
    assert tools(talk.send(Message(decline=quote.id))) == []
    talk.say("yes")
    assert copy.books() == before


@pytest.mark.parametrize("presser", ["c002", "c003", None])
def test_a_quote_of_somebody_else_cannot_be_agreed_to(copy: DemoCopy, unheard: Agent, presser: str | None) -> None:
    quote = copy.talk("c001", unheard).say(CANCELLING).quote
    assert quote is not None
    before = copy.books()
    turn = copy.talk(presser, unheard, "another").send(Message(agree_to=quote.id))
    unknown = copy.talk(presser, unheard, "a third").send(Message(agree_to="Q0000000000000000"))
    assert turn.reply == unknown.reply
    assert "1076" not in turn.reply
    assert copy.books() == before


def test_an_offer_that_ran_out_is_made_anew(copy: DemoCopy, unheard: Agent) -> None:
    before = copy.books()
    talk = copy.talk("c001", unheard)
    first = talk.say(CANCELLING).quote
    copy.later = timedelta(minutes=31)
    turn = talk.say("yes")
    assert tools(turn) == ["commit_quote"]
    assert turn.quote is not None
    assert first is not None
    assert turn.quote.id != first.id
    assert copy.books() == before
    talk.say("yes")
    assert copy.moved() == [("1076", "refund", "c001-paypal", 8660)]


def test_an_address_that_was_offered_anew_is_still_that_of_the_order(copy: DemoCopy, unheard: Agent) -> None:
    own = copy.shop.customer("c003")
    talk = copy.talk("c003", unheard)
    talk.say("can you change the address of my order", "12 Oak Street, Apt 4, Portland, ME 04101")
    copy.later = timedelta(minutes=31)
    before = copy.books()
    assert talk.say("yes").quote is not None
    # Whatever becomes of this, it is not taken for the address of the account.
    assert "quote_address_change" not in tools(talk.say("14 Oak Street, Portland, ME 04101"))
    assert copy.books() == before
    talk.say("change the address of order 1077 to 14 Oak Street, Portland, ME 04101", "yes")
    assert copy.order("1077").address.line1 == "14 Oak Street"
    assert copy.shop.customer("c003") == own


def test_what_changed_since_the_offer_is_offered_anew(copy: DemoCopy, unheard: Agent) -> None:
    talk = copy.talk("c001", unheard)
    talk.say(CANCELLING)
    copy.edit("UPDATE orders SET status = 'shipped' WHERE id = '1076'")
    before = copy.books()
    turn = talk.say("yes")
    assert turn.quote is None
    assert "clause:CAN-1" in sources(turn)
    assert copy.books() == before


def test_a_restart_keeps_the_offer_and_who_asked(copy: DemoCopy, tmp_path: Path) -> None:
    def restarted() -> Talk:
        copy.reopen()
        connection = sqlite3.connect(tmp_path / "conversations.sqlite", check_same_thread=False)
        saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        return copy.talk(None, copy.agent(Scripted(replies=[]), saver))

    assert tools(restarted().say("cancel my order")) == ["quote_cancellation"]
    assert restarted().say("emma.carter@example.com").quote is not None
    assert tools(restarted().say("yes")) == ["commit_quote"]
    assert copy.moved() == [("1076", "refund", "c001-paypal", 8660)]
    assert b"emma.carter@example.com" not in b"".join(path.read_bytes() for path in tmp_path.glob("conversations.sqlite*"))


# Who somebody is


@pytest.mark.parametrize(
    ("proof", "order"),
    [
        ("emma.carter@example.com", "1076"),
        ("my e-mail is Emma.Carter@Example.com", "1076"),
        ("Emma Carter, 04101", "1076"),
        ("I'm Olivia Brown and my postcode is M1 3HE", "1067"),
        ("Liam Tremblay h2j2g7", "1071"),
        ("My name is Yuki Tanaka, 155-0031", "1040"),
        ("王芳 200122", "1079"),
        ("我叫王芳，邮编200122", "1079"),
    ],
)
def test_a_visitor_proves_who_they_are(copy: DemoCopy, unheard: Agent, proof: str, order: str) -> None:
    talk = copy.talk(None, unheard)
    asked = talk.say("where is my order?")
    assert sources(asked) == {"question"}
    turn = talk.say(proof)
    assert tools(turn) == ["track_order"]
    assert f"order:{order}" in sources(turn)


@pytest.mark.parametrize(
    "claim",
    ["emma@example.com", "Emma Carter 04102", "Emma, 04101", "Carter 04101", "04101", "王 200122", "customer c001 04101"],
)
def test_a_wrong_proof_opens_nothing(copy: DemoCopy, unheard: Agent, claim: str) -> None:
    turn = copy.talk(None, unheard).say("where is my order?", claim)
    assert sources(turn) == {"question"}
    assert not re.search(r"10\d\d", turn.reply)


def test_after_too_many_wrong_proofs_a_person_takes_over_and_the_right_one_comes_too_late(
    copy: DemoCopy, unheard: Agent
) -> None:
    talk = copy.talk(None, unheard)
    talk.say("where is my order?", *(f"Emma Smith {number}, 04101" for number in ("A", "B", "C", "D")))
    assert talk.say("Emma Jones 04101").handoff is None
    turn = talk.say("Emma Carter 04101")
    assert turn.handoff is not None
    assert turn.handoff.why == "failed_repeatedly"
    assert copy.desk.state("t") == "waiting"
    assert sources(turn) == {"question"}
    # The same postcode from a fresh conversation is no way round.
    other = copy.talk(None, unheard, "fresh").say("where is my order?", "Emma Carter 04101")
    assert sources(other) == {"question"}
    # An hour later it is.
    copy.later = timedelta(minutes=61)
    later = copy.talk(None, unheard, "later").say("where is my order?", "Emma Carter 04101")
    assert "order:1076" in sources(later)


def test_the_first_proof_holds(copy: DemoCopy, unheard: Agent) -> None:
    talk = copy.talk(None, unheard)
    talk.say("where is my order?", "emma.carter@example.com")
    turn = talk.say("where is order 1079? wang.fang@example.com")
    assert not any("1079" in source for source in sources(turn))
    assert "order:1076" in sources(talk.say("where is order 1076?"))


def test_who_is_signed_in_stays_who_they_are(copy: DemoCopy, unheard: Agent) -> None:
    talk = copy.talk("c002", unheard)
    talk.say("my e-mail is emma.carter@example.com")
    turn = talk.say("where is order 1076?")
    assert "order:1076" not in sources(turn)


@pytest.mark.parametrize(
    "about", ["where is order {}?", "cancel order {}", "I want to return order {}", "订单{}到哪了", "取消订单{}"]
)
def test_somebody_elses_order_and_an_unknown_one_get_the_same_answer(copy: DemoCopy, unheard: Agent, about: str) -> None:
    replies = [
        copy.talk("c003", unheard, order).say(about.format(order)).reply.replace(order, "…") for order in ("1076", "9876")
    ]
    assert replies[0] == replies[1]
    assert copy.moved() == []


# Persons


@pytest.mark.parametrize(
    ("customer", "said"), [("c001", "this is ridiculous, I am fed up with you"), ("c002", "什么破店，我要投诉你们")]
)
def test_an_angry_customer_gets_a_person(copy: DemoCopy, unheard: Agent, customer: str, said: str) -> None:
    turn = copy.talk(customer, unheard).say(said)
    assert tools(turn) == ["hand_to_human"]
    assert turn.handoff is not None
    assert turn.handoff.why == "angry"
    packet = copy.desk.packet("t")
    assert (packet.why, packet.customer_id, packet.goal) == ("angry", customer, said)
    assert is_chinese(turn.reply) == (customer == "c002")


def test_whoever_takes_over_sees_all_that_was_tried_in_the_conversation(copy: DemoCopy) -> None:
    talk = copy.talk("c006")
    talk.say("I'd like to return the fleece")
    talk.say("how long do refunds take?")
    talk.say("I want to talk to a human")
    steps = copy.desk.packet("t").steps
    assert [step.tool for step in steps] == ["quote_return", "answer_from_policy", "hand_to_human"]
    assert "refund" in steps[1].outcome.lower()
    assert steps[1].arguments["question"] == "how long do refunds take?"


def test_whoever_takes_over_sees_what_was_offered_and_declined(copy: DemoCopy) -> None:
    talk = copy.talk("c001")
    assert talk.say("please cancel my order 1076").quote is not None
    talk.say("no thanks")
    talk.say("please cancel my order 1076")
    talk.say("I want to talk to a human")
    steps = copy.desk.packet("t").steps
    assert [(step.tool, step.declined) for step in steps[:2]] == [("quote_cancellation", True), ("quote_cancellation", False)]
    assert "1076" in steps[0].outcome


@pytest.mark.parametrize("said", ["转人工", "I want to talk to a human", "this is a scam"])
def test_a_person_can_be_had_in_the_middle_of_a_question(copy: DemoCopy, said: str) -> None:
    talk = copy.talk("c006")
    assert talk.say("I'd like to return the fleece").quote is None
    turn = talk.say(said)
    assert "hand_to_human" in tools(turn)
    assert turn.quote is None
    assert copy.desk.state("t") == "waiting"


def test_a_question_of_ours_can_be_left_unanswered(copy: DemoCopy, unheard: Agent) -> None:
    talk = copy.talk("c006", unheard)
    talk.say("I'd like to return the fleece")
    assert talk.say("never mind").quote is None


def test_a_large_refund_is_a_persons_to_decide(copy: DemoCopy) -> None:
    copy.edit_policy("order_cents: 40000", "order_cents: 8000")
    before = copy.books()
    talk = copy.talk("c001", copy.agent(Scripted(replies=[])))
    turn = talk.say(CANCELLING)
    assert turn.quote is None
    assert turn.handoff is not None
    assert turn.handoff.why == "over_cap"
    packet = copy.desk.packet("t")
    assert (packet.why, packet.customer_id, packet.customer_name) == ("over_cap", "c001", "Emma Carter")
    assert [step.tool for step in packet.steps] == ["quote_cancellation"]
    assert packet.facts == turn.steps[0].facts
    assert [spoken.text for spoken in packet.transcript] == [CANCELLING, turn.reply]
    talk.say("yes")
    assert copy.books() == before


@pytest.mark.parametrize("said", ["cancel order 9876", "取消订单9876"])
def test_the_third_failure_in_a_row_brings_a_person(copy: DemoCopy, unheard: Agent, said: str) -> None:
    talk = copy.talk("c001", unheard)
    for _ in range(2):
        assert talk.say(said).handoff is None
    turn = talk.say(said)
    assert tools(turn)[-1] == "hand_to_human"
    assert turn.handoff is not None
    assert turn.handoff.why == "failed_repeatedly"
    assert copy.desk.state("t") == "waiting"


def test_a_person_takes_over_and_gives_back(copy: DemoCopy) -> None:
    talk = copy.talk("c001")
    assert copy.desk.state("t") == "none"
    talk.say("let me talk to a real person please")
    assert copy.desk.state("t") == "waiting"
    # Until somebody comes, the agent goes on.
    assert "order:1066" in sources(talk.say("where is order 1066?"))
    copy.desk.take("t", "Kim", copy.clock())
    turn = talk.send(Message("my card is 4111 1111 1111 1111, is anybody there?"))
    assert turn.held
    assert turn.reply == ""
    assert turn.steps == ()
    assert [(each.speaker, "4111" in each.text) for each in copy.desk.messages("t")] == [("customer", False)]
    copy.desk.say("t", "Kim", "We found your teal parcel in Boston.", copy.clock())
    copy.desk.give_back("t", "Kim", copy.clock())
    assert "order:1066" in sources(talk.say("where is order 1066?"))
    talk.say("let me talk to a real person please")
    said = [spoken.text for spoken in copy.desk.packet("t").transcript]
    assert "We found your teal parcel in Boston." in said


def test_a_person_takes_over_and_gives_back_in_chinese(copy: DemoCopy) -> None:
    talk = copy.talk("c002")
    assert is_chinese(talk.say("转人工").reply)
    copy.desk.take("t", "小李", copy.clock())
    assert talk.send(Message("在吗")).reply == ""
    copy.desk.say("t", "小李", "您好，我来处理。", copy.clock())
    copy.desk.give_back("t", "小李", copy.clock())
    turn = talk.say("取消订单 1079")
    assert turn.quote is not None
    assert turn.language == "zh"
    talk.say("好的")
    assert copy.moved() == [("1079", "refund", "c002-wechat-pay", 6980)]


def test_a_yes_that_was_said_to_a_person_is_not_the_agents(copy: DemoCopy, unheard: Agent) -> None:
    before = copy.books()
    talk = copy.talk("c001", unheard)
    talk.say("this is ridiculous", CANCELLING)
    copy.desk.take("t", "Kim", copy.clock())
    assert talk.send(Message("yes")).held
    copy.desk.say("t", "Kim", "Shall I call you tomorrow?", copy.clock())
    copy.desk.give_back("t", "Kim", copy.clock())
    talk.say("yes")
    assert copy.books() == before
