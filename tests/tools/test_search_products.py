from demo_shop import DemoShop, ask

from tools.kit.facts import Facts
from tools.search_products import search_products


def search(said: str, **more: object) -> Facts:
    return ask(search_products, more.pop("shop", None) or DemoShop(), said, query=said, **more)  # type: ignore[arg-type]


def test_each_product_tells_why_it_is_shown() -> None:
    facts = search("a red T-shirt dress in cotton")
    assert facts.outcome == "found"
    assert all("As you asked:" in fact.text and "red" in fact.text for fact in facts.facts)


def test_nothing_that_fits_tells_what_was_asked_and_how_the_nearest_differs() -> None:
    facts = search("a red dress under $20")
    assert facts.outcome == "nothing_found"
    assert facts.reply is not None
    assert "red, at most $20.00" in facts.reply
    assert "But it costs $" in facts.reply


def test_the_list_goes_on_without_repeating_and_ends() -> None:
    shop = DemoShop()
    facts = search("T-shirt", shop=shop)
    shown = list(facts.product_ids)
    while facts.rest is not None and facts.rest.product_ids:
        facts = search("more", shop=shop, shown=facts.product_ids, rest=facts.rest)
        shown += facts.product_ids
    assert len(shown) > 6
    assert len(shown) == len(set(shown))
    assert search("还有吗", shop=shop, language="zh", rest=facts.rest).outcome == "nothing_found"


def test_what_was_sold_out_meanwhile_is_not_on_the_next_page() -> None:
    shop = DemoShop()
    first = search("T-shirt", shop=shop)
    assert first.rest is not None
    gone = first.rest.product_ids[0]
    product = shop.product(gone)
    assert product is not None
    shop.change(gone, variants=tuple(each.model_copy(update={"stock": 0}) for each in product.variants))
    assert gone not in search("more", shop=shop, rest=first.rest).product_ids


def test_a_corrected_word_is_told() -> None:
    assert any("I looked for: dress" in fact.text for fact in search("a drss").facts)


def test_my_size_is_the_one_bought_and_kept_before() -> None:
    facts = search("dresses in my size", customer_id="c001")
    assert all("in your size M" in fact.text for fact in facts.facts if fact.source.startswith("product:"))


def test_my_size_is_the_one_told_in_the_conversation() -> None:
    facts = search("dresses in my size", earlier=("I wear L",))
    assert facts.product_ids
    assert all("in your size L" in fact.text for fact in facts.facts if fact.source.startswith("product:"))


def test_a_word_that_points_means_the_product_called_by_its_title_and_not_one_shown_before() -> None:
    facts = search("what is the Breeze Linen Midi Dress made of, is it lined?", shown=("p050",))
    assert facts.product_ids == ("p001",)
    assert search("is it in stock?", shown=("p050",)).product_ids == ("p050",)
