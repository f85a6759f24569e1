"""The demo shop's size charts and reviews: whole, in step with its rules on sizes, and as one-sided as they are meant to be."""

import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from tools.shop.types import Clause, Customer, Product, Review, SizeChart
from tools.sizes.charts import chart_for, eu_of_foot, foot_of_eu, is_shoe, made_for, measures_of, place_of, sizes_of
from tools.sizes.fit_words import verdict

DEMO = Path(__file__).parents[3] / "tools" / "shop" / "demo"


def lines(name: str) -> list[str]:
    return (DEMO / name).read_text("utf-8").splitlines()


PRODUCTS = {product.id: product for product in map(Product.model_validate_json, lines("products.jsonl"))}
CLAUSES = {clause.id: clause for clause in map(Clause.model_validate_json, lines("clauses.jsonl"))}
CUSTOMERS = {customer.id for customer in map(Customer.model_validate_json, lines("customers.jsonl"))}
CHARTS = {chart.id: chart for chart in map(SizeChart.model_validate_json, lines("size_charts.jsonl"))}
REVIEWS = [Review.model_validate_json(line) for line in lines("reviews.jsonl")]
BY_PRODUCT: dict[str, list[Review]] = defaultdict(list)
for review in REVIEWS:
    BY_PRODUCT[review.product_id].append(review)
every_chart = pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
WITHOUT_CHART = {"Hats & accessories", "Bedding & bath", "Camping"}


def test_ids_are_unique() -> None:
    assert len(CHARTS) == len(lines("size_charts.jsonl"))
    assert len({review.id for review in REVIEWS}) == len(REVIEWS)


@every_chart
def test_a_chart_goes_from_small_to_large_without_holes_or_overlaps(chart: SizeChart) -> None:
    assert measures_of(chart)
    for measure in measures_of(chart):
        for row, following in pairwise(chart.rows):
            high, low = getattr(row, measure)[1], getattr(following, measure)[0]
            # Children's clothes leave out heights on purpose: SIZ-5.
            assert high < low if chart.audience == "kids" and measure == "height" else high + 1 == low


def test_every_size_of_clothes_and_shoes_stands_in_a_chart() -> None:
    for product in PRODUCTS.values():
        sizes = sizes_of(product)
        chart = chart_for(CHARTS.values(), product)
        if not sizes or (product.category.en in WITHOUT_CHART and product.id != "p144"):
            assert chart is None
            continue
        assert chart, product.id
        assert set(sizes) <= {row.size for row in chart.rows}, product.id


def test_a_chart_is_for_those_the_product_is_for() -> None:
    for product in PRODUCTS.values():
        if chart := chart_for(CHARTS.values(), product):
            who = made_for(product)
            # A brand's own chart for anybody holds before the shop's for men.
            assert chart.audience in (None, who), product.id
            assert chart.audience is None or who != "unisex"


def test_the_shops_own_brands_have_charts_of_their_own() -> None:
    assert {chart.brand for chart in CHARTS.values() if chart.brand} == {"Tidewalk", "Pinefield"}
    swimsuit, parka = chart_for(CHARTS.values(), PRODUCTS["p079"]), chart_for(CHARTS.values(), PRODUCTS["p050"])
    assert swimsuit
    assert parka
    assert (swimsuit.brand, parka.brand) == ("Tidewalk", "Pinefield")


def test_shoes_are_as_the_rule_on_shoe_sizes_says() -> None:
    said = re.findall(r"EU (\d+) (?:fits a foot|one) of (\d+\.\d) cm", CLAUSES["SIZ-3"].text.en or "")
    assert set(said) == {("38", "23.7"), ("42", "26.3")}
    for eu, cm in said:
        for chart in (CHARTS["women-shoes"], CHARTS["men-shoes"], CHARTS["unisex-shoes"]):
            if eu in (row.size for row in chart.rows):
                assert chart.rows[round(place_of(chart, "foot", float(cm) * 10))].size == eu


@pytest.mark.parametrize("name", ["women-shoes", "men-shoes", "kids-shoes", "unisex-shoes"])
def test_shoes_agree_with_the_paris_point_and_with_each_other(name: str) -> None:
    for row in CHARTS[name].rows:
        assert row.foot
        middle = sum(row.foot) / 2
        assert abs(eu_of_foot(middle) - float(row.size)) < 0.65
        assert abs(foot_of_eu(float(row.size)) - middle) < 5
        assert row.labels["EU"] == row.size
        assert row.foot[0] - 2 <= int(row.labels["CN"]) <= row.foot[1] + 2
        assert float(row.labels["JP"]) * 10 == int(row.labels["CN"])
        if name != "unisex-shoes":
            assert {"UK", "US"} <= set(row.labels)
        else:
            assert "US" not in row.labels  # a US number means another foot for women than for men


def test_childrens_clothes_are_as_the_rule_on_childrens_sizes_says() -> None:
    said = re.findall(r"(\d{3}) (?:fits a child|one) of (\d+) to (\d+) cm", CLAUSES["SIZ-5"].text.en or "")
    rows = {row.size: row.height for row in CHARTS["kids-clothes"].rows}
    assert len(said) == 3
    for size, low, high in said:
        assert rows[size] == (int(low) * 10, int(high) * 10)


def test_womens_sizes_have_labels_of_all_five_systems() -> None:
    for name in ("women-dresses", "women-tops", "women-bottoms", "men-tops", "men-bottoms"):
        assert all(set(row.labels) == {"EU", "UK", "US", "CN", "JP"} for row in CHARTS[name].rows)


def test_reviews_are_of_products_and_customers_that_exist_and_of_sizes_that_are_made() -> None:
    assert len(REVIEWS) >= 300
    for each in REVIEWS:
        product = PRODUCTS[each.product_id]
        assert each.customer_id is None or each.customer_id in CUSTOMERS
        assert each.size in sizes_of(product) if sizes_of(product) else each.size is None
        assert each.text
    bought = Counter((each.product_id, each.customer_id) for each in REVIEWS if each.customer_id)
    assert max(bought.values()) == 1


def test_reviews_are_written_in_both_languages_and_no_two_alike() -> None:
    chinese = [each for each in REVIEWS if re.search(r"[\u4e00-\u9fff]", each.text)]
    assert 0.3 < len(chinese) / len(REVIEWS) < 0.7
    assert len({each.text for each in REVIEWS}) == len(REVIEWS)


def test_a_few_products_run_small_a_few_large_and_most_true() -> None:
    fits = Counter(verdict(reviews).fit for reviews in BY_PRODUCT.values())
    assert 3 <= fits["small"] <= 8
    assert 3 <= fits["large"] <= 8
    assert fits["right"] > fits["small"] + fits["large"]
    assert verdict(BY_PRODUCT["p039"]).fit == "small"
    assert any(is_shoe(PRODUCTS[each]) and verdict(BY_PRODUCT[each]).fit == "small" for each in BY_PRODUCT)


def test_some_products_have_too_few_or_divided_remarks_to_say_anything() -> None:
    silent = [each for each in BY_PRODUCT if sizes_of(PRODUCTS[each]) and verdict(BY_PRODUCT[each]).fit is None]
    assert any(verdict(BY_PRODUCT[each]).remarks >= 10 for each in silent)
    assert any(verdict(BY_PRODUCT[each]).remarks < 5 for each in silent)
