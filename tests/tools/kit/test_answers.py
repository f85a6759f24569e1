"""What customers answer to our questions, as they write it: a yes is only a yes, and money is never guessed."""

import pytest

from tests.tools.demo_shop import DemoShop
from tools.kit.answers import (
    agrees_to,
    asks_balance,
    corrects,
    is_angry,
    is_no,
    is_yes,
    names_person,
    only_asks_for_help,
    read_address,
    read_items,
    read_method,
    read_opened,
    read_order,
    read_postcodes,
    read_reason,
    read_variant,
    says_wants,
    wants,
    would_rather_have,
)
from tools.shop.quotes import Units
from tools.shop.types import Address, PaymentMethod

HOME = Address(line1="42 Birch Lane", line2="Apt 3", city="Portland", region="ME", postcode="04101", country="United States")
CARD = PaymentMethod(id="card", kind="card", brand="Visa", last_four="4242")
OTHER_CARD = PaymentMethod(id="card-2", kind="card", brand="Mastercard", last_four="1881")
GIFT = PaymentMethod(id="gift", kind="gift_card", balance_cents=5000)
WECHAT = PaymentMethod(id="wechat", kind="wechat_pay")


@pytest.fixture(scope="module")
def shop() -> DemoShop:
    return DemoShop()


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "Yes!",
        "yes, please.",
        "ok go ahead",
        "Sure, thanks",
        "yep do it 👍",
        "好的",
        "可以，谢谢",
        "嗯，确认",
        "行吧",
        "对的",
    ],
)
def test_a_clear_yes_agrees(text: str) -> None:
    assert is_yes(text)
    assert not is_no(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "?", "yes?", "yes but to my other card", "ok and how long does it take", "yes if it is free", "maybe", "y e s"),
        *("please", "thanks", "no yes", "yes no", "not ok", "don't do it", "I said yes to your colleague", "is that ok?"),
        *("好的，不过退到微信", "可以吗", "好贵", "不可以", "行不行", "我再想想", "是不是要收费", "谢谢", "确认一下金额"),
    ],
)
def test_anything_else_is_no_agreement(text: str) -> None:
    assert not is_yes(text)


@pytest.mark.parametrize(
    "text", ["no", "No thanks.", "never mind", "nah, leave it", "不用了，谢谢", "算了吧", "先不办了", "不要"]
)
def test_a_clear_no_declines(text: str) -> None:
    assert is_no(text)
    assert not is_yes(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("it's way too tight around the shoulders", "does_not_fit"),
        ("鞋子太小了穿着挤脚", "does_not_fit"),
        ("the handle came off, it's broken", "faulty"),
        ("一打开就是破损的", "faulty"),
        ("you sent the wrong colour", "wrong_item"),
        ("发错颜色了", "wrong_item"),
        ("I ordered it by mistake", "by_mistake"),
        ("拍错了，想要另一款", "by_mistake"),
        ("just don't like it on me", "changed_mind"),
        ("不喜欢这个款式", "changed_mind"),
        ("it is a gift", None),
        ("给朋友买的", None),
    ],
)
def test_the_reason_is_heard(text: str, reason: str | None) -> None:
    assert read_reason(text) == reason


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("it's still sealed", False),
        ("I haven't opened it", False),
        ("没拆过", False),
        ("yes I opened it", True),
        ("已经拆封了", True),
        ("试穿过一次", True),
        ("it is blue", None),
    ],
)
def test_whether_it_was_opened_is_heard(text: str, opened: bool | None) -> None:
    assert read_opened(text) is opened


def test_payment_methods_are_those_of_the_customer() -> None:
    own = (CARD, OTHER_CARD, GIFT)
    assert read_method("the one ending in 1881 please", own) == OTHER_CARD
    assert read_method("put it on my gift card", own) == GIFT
    assert read_method("退到礼品卡", own) == GIFT
    assert read_method("back to my mastercard", own) == OTHER_CARD
    assert read_method("my credit card", own, used=["card-2"]) == OTHER_CARD
    assert read_method("same way I paid... same method", own, used=["card"]) == CARD
    assert read_method("to my paypal", own) is None
    assert read_method("退到微信", (*own, WECHAT)) == WECHAT
    assert read_method("card 9999888877776666", (GIFT,)) is None


@pytest.mark.parametrize(
    ("text", "swaps"),
    [
        ("I got the red lamp but I'd prefer a blue one", True),
        ("我收到的是红色，但我想要蓝色", True),
        ("I'd prefer a blue lamp", False),
        ("I bought a lamp last year. Do you have another?", False),
    ],
)
def test_who_has_something_and_would_rather_have_another_is_heard(text: str, swaps: bool) -> None:
    assert would_rather_have(text) is swaps


def test_what_is_left_on_a_card_is_a_question_and_paying_with_it_is_none() -> None:
    assert asks_balance("How much is on my gift card?")
    assert asks_balance("我的礼品卡余额还有多少？")
    assert not asks_balance("Please use my gift card balance for the difference.")


@pytest.mark.parametrize(
    "text",
    ["Hi, can you help me with something I bought?", "I have a question about my order.", "你好，我想咨询一下我的订单。"],
)
def test_a_bare_call_for_help_is_heard(text: str) -> None:
    assert only_asks_for_help(text)


@pytest.mark.parametrize("text", ["Can you help me return a lamp?", "I have a question about refunds", "hello", "我想咨询退货"])
def test_a_wish_is_no_bare_call_for_help(text: str) -> None:
    assert not only_asks_for_help(text)


def test_an_english_address_is_taken_apart() -> None:
    new = read_address("please send it to 7 Elm Street, Unit 5B, Salem, OR 97301", HOME)
    assert new == Address(
        line1="7 Elm Street", line2="Unit 5B", city="Salem", region="OR", postcode="97301", country="United States"
    )
    assert read_address("44 Birch Lane", HOME) == HOME.model_copy(update={"line1": "44 Birch Lane", "line2": ""})


@pytest.mark.parametrize("text", ["somewhere else", "my mum's", "9 Hill Road, Boston", "我换地方了", ""])
def test_half_an_address_is_none(text: str) -> None:
    # A new town with the old postcode would lead the parcel astray.
    assert read_address(text, HOME) is None


def test_a_chinese_address_leaves_nothing_of_the_old_town() -> None:
    old = Address(line1="旧路 1 号", city="广州市", region="广东省", postcode="510620", country="中国")
    new = read_address("改到浙江省杭州市西湖区文三路 90 号 3 幢 201 室，310012", old)
    assert new
    assert (new.region, new.city, new.postcode, new.country) == ("浙江省", "杭州市", "310012", "中国")
    assert new.line1.startswith("西湖区文三路")
    without = read_address("寄到上海市静安区南京西路 8 号", old)
    assert without
    assert (without.region, without.city, without.postcode) == ("", "上海市", "")


def test_people_are_named_whole() -> None:
    assert names_person("hi, emma carter here, 04101", "Emma Carter")
    assert names_person("我叫王芳，邮编200122", "王芳")
    assert not names_person("emma, 04101", "Emma Carter")
    assert read_postcodes("Emma Carter, 04101") == ["04101"]
    assert read_postcodes("SW1A 1AA") == ["SW1A 1AA"]


def test_anger_is_noticed_and_politeness_is_not() -> None:
    assert is_angry("this is ridiculous")
    assert is_angry("你们就是骗子")
    assert not is_angry("could you help me please")
    assert not is_angry("不好意思，麻烦查一下")
    assert is_angry("太垃圾了，给我滚")
    assert not is_angry("有垃圾袋吗，还有滚筒洗衣机")


def test_an_order_is_named_by_its_number_alone(shop: DemoShop) -> None:
    orders = shop.orders_of("c001")
    assert read_order(f"it's #{orders[0].id}, thanks", orders) == orders[0]
    assert read_order("the 5 mugs", orders) is None


def test_items_are_meant_by_what_they_are(shop: DemoShop) -> None:
    order = next(order for order in shop.orders_of("c001") if order.id == "1001")
    kept = {item.variant_id: item.quantity for item in order.items}
    dress, sandals, hat = (item.variant_id for item in order.items)
    assert read_items("the dress is too long", order, kept, shop) == (Units(variant_id=dress),)
    assert read_items("凉鞋不舒服", order, kept, shop) == (Units(variant_id=sandals),)
    assert read_items("the hat and the sandals", order, kept, shop) == (Units(variant_id=sandals), Units(variant_id=hat))
    assert {units.variant_id for units in read_items("all of it", order, kept, shop)} == set(kept)
    assert {units.variant_id for units in read_items("整单都退", order, kept, shop)} == set(kept)
    assert read_items("the toaster", order, kept, shop) == ()
    assert read_items("the dress", order, {**kept, dress: 0}, shop) == ()


def test_another_variant_keeps_what_is_not_said(shop: DemoShop) -> None:
    order = next(order for order in shop.orders_of("c001") if order.id == "1001")
    dress = order.items[0]
    assert [variant.options for variant in read_variant("in size L instead", dress, shop)] == [{"color": "sage", "size": "L"}]
    assert [variant.options for variant in read_variant("l", dress, shop)] == [{"color": "sage", "size": "L"}]
    assert [variant.options for variant in read_variant("换成白色的", dress, shop)] == [{"color": "white", "size": "M"}]
    assert [variant.options for variant in read_variant("一码大一号，换大一码", dress, shop)] == [
        {"color": "sage", "size": "L"}
    ]
    assert read_variant("something nicer", dress, shop) == ()


@pytest.mark.parametrize(
    "text",
    [
        "no, I meant the blue one",
        "No I’m returning it. No, I mean the other order",
        "wait no i meant swap it not refund it",
        "no no no, I said swap, not refund",
        "thats not what i asked, WHEN does it get here",
        "You misunderstood, it has not even arrived",
        "不是，我是说另一件",
        "我说的是杯子不是被子哈哈",
        "不对，我问的是运费",
        "你理解错啦 我没收到货呢",
        "答非所问",
    ],
)
def test_who_was_missed_says_so(text: str) -> None:
    assert corrects(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "no",
            "yes",
            "that's wrong, it should be size M",
            "I meant to order two, not one",
            "what do you mean by final sale?",
        ),
        *(
            "it's not what I ordered",
            "when did you ship it, the coffee i mean",
            "no thanks",
            "不是",
            "我的订单在哪",
            "这个是什么意思",
        ),
    ],
)
def test_who_corrects_nobody_or_only_themselves_does_not(text: str) -> None:
    assert not corrects(text)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("please send it back to you, money back", {"quote_return"}),
        ("I do not want to return it, swap it", {"quote_exchange"}),
        ("no refund, a new one", set()),
        ("don't cancel it, I want to return it", {"quote_return"}),
    ],
)
def test_what_is_said_not_to_be_wanted_is_not_wanted(said: str, wanted: set[str]) -> None:
    assert wants(said, ("quote_return", "quote_exchange", "quote_cancellation")) == wanted


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("Hi, I’d like to exchange the mug", {"quote_exchange"}),
        ("我想要退货，快递盒还在", {"quote_return"}),
        ("I want to know who pays for returning it", set()),
        ("我想问一下退货", set()),
        ("my sister wants to return hers", set()),
    ],
)
def test_what_is_said_to_be_wanted_in_so_many_words_is(said: str, wanted: set[str]) -> None:
    assert says_wants(said, ("quote_return", "quote_exchange")) == wanted


@pytest.mark.parametrize(
    ("said", "kind", "agrees"),
    [
        ("ok, I'll pay the difference", "exchange", True),
        ("好的，我补差价吧", "exchange", True),
        ("I'll pay the difference tomorrow if it fits", "exchange", False),
        ("ok, charge it to my other card", "exchange", False),
        ("ok, I'll pay the difference", "return", False),
    ],
)
def test_a_yes_may_name_the_money_that_it_costs(said: str, kind: str, *, agrees: bool) -> None:
    assert agrees_to(said, kind) is agrees
