"""Many conversations at once: every message is answered, in its own conversation."""

from counter import Open

from eval.server_load import draw, measure_many, measure_model


def test_of_many_conversations_at_once_none_is_lost_and_none_mixed(open_counter: Open) -> None:
    counter = open_counter(waiting_turns=100)
    products = [each for each in counter.shop.products() if "Dress" in each.title.in_language("en")]
    many = measure_many(counter.url, products, conversations=30, at_once=30)
    assert (many["messages"], many["lost"], many["refused"], many["mixed"]) == (60, 0, 0, 0)
    assert len(many["seconds"]) == 60
    row = measure_model(counter.url, products[0], 2)
    assert row["lost"] == 0
    assert row["slowest_over_fastest"] >= 1
    assert draw({"many": many, "model": [row]}).count("<rect") == 3


def test_what_is_refused_counts_as_lost(open_counter: Open) -> None:
    counter = open_counter(waiting_turns=0, turns_at_once=1)
    products = [each for each in counter.shop.products() if "Dress" in each.title.in_language("en")]
    many = measure_many(counter.url, products, conversations=6, at_once=6)
    assert many["refused"] == many["lost"] > 0
