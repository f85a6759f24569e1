"""Charts: which one holds, where a body lies on it, what a size is called elsewhere."""

import pytest

from tools.shop.types import LocalText, Product, SizeChart, SizeRow, Variant
from tools.sizes.charts import (
    Measured,
    Place,
    chart_for,
    combined,
    eu_of_foot,
    foot_of_eu,
    made_for,
    odds_of,
    paris_chart,
    place_of,
    place_of_body,
    place_of_size,
    place_on,
)
from tools.sizes.reading import SaidSize

ROWS = (
    SizeRow(size="S", labels={"EU": "36–38", "US": "4-6", "CN": "160/84A"}, chest=(820, 899), hips=(900, 979)),
    SizeRow(size="M", labels={"EU": "40–42", "US": "8-10", "CN": "165/92A"}, chest=(900, 979), hips=(980, 1059)),
    SizeRow(size="L", labels={"EU": "44–46", "US": "12-14", "CN": "170/100A"}, chest=(980, 1059), hips=(1060, 1139)),
)
WOMEN = SizeChart(id="women", audience="women", categories=("Dresses",), rows=ROWS)
SHOES = SizeChart(
    id="shoes",
    audience="women",
    rows=tuple(
        SizeRow(size=str(eu), labels={"EU": str(eu), "US": us}, foot=(low, low + 6))
        for eu, us, low in ((37, "6", 227), (38, "7", 234), (39, "8", 241))
    ),
)


def product(
    gender: str = "women", category: str = "Dresses", brand: str | None = None, sizes: tuple[str, ...] = ("S", "M")
) -> Product:
    return Product(
        id="p",
        title=LocalText(en="Thing"),
        category=LocalText(en=category),
        brand=brand,
        attributes={"gender": LocalText(en=gender)} if gender else {},
        variants=tuple(Variant(id=f"p-{size}", options={"size": size}, price_cents=100) for size in sizes),
    )


def chart(id: str, **more: object) -> SizeChart:
    return SizeChart.model_validate({"id": id, "rows": ROWS, **more})


def test_the_chart_that_names_most_wins() -> None:
    charts = [
        chart("any"),
        chart("dresses", categories=("dresses",)),
        chart("women", audience="women"),
        chart("acme", brand="ACME"),
        chart("acme-dresses", brand="Acme", categories=("Dresses",), audience="women"),
    ]
    chosen = chart_for(charts, product(brand="Acme"))
    assert chosen
    assert chosen.id == "acme-dresses"
    unbranded = chart_for(charts, product(brand="Other"))
    assert unbranded
    assert unbranded.id == "dresses"


@pytest.mark.parametrize(
    "other",
    [
        chart("men", audience="men"),
        chart("shoes", categories=("Shoes",)),
        chart("other-brand", brand="Other"),
        SizeChart(id="numbers", rows=(SizeRow(size="38", chest=(800, 900)),)),
    ],
)
def test_a_chart_for_other_things_never_holds(other: SizeChart) -> None:
    assert chart_for([other], product(brand="Acme")) is None


def test_a_thing_for_anybody_takes_the_chart_of_whoever_it_is_for() -> None:
    charts = [chart("men", audience="men"), chart("women", audience="women")]
    chosen = chart_for(charts, product("unisex"), "men")
    assert chosen
    assert chosen.id == "men"
    assert chart_for(charts, product("unisex")) is None


@pytest.mark.parametrize(
    ("gender", "who"), [("women", "women"), ("men", "men"), ("girls", "kids"), ("children", "kids"), ("unisex", "unisex")]
)
def test_whom_a_product_is_for_is_read_from_its_attributes(gender: str, who: str) -> None:
    assert made_for(product(gender)) == who


def test_a_product_in_chinese_alone_says_whom_it_is_for() -> None:
    dress = product("").model_copy(update={"title": LocalText(zh="女童连衣裙")})
    assert made_for(dress) == "kids"


def test_measured_in_the_middle_of_a_row_its_size_is_all_but_certain() -> None:
    place = place_of_body(WOMEN, {"chest": Measured(940, 10), "hips": Measured(1020, 10)})
    assert place
    odds = odds_of(WOMEN, place)
    assert odds.best == 1
    assert odds.sizes[1] > 0.99
    assert sum(odds.sizes) + odds.smaller + odds.larger == pytest.approx(1)


def test_the_less_is_known_the_less_sure_it_is() -> None:
    def best(body: dict[str, Measured]) -> float:
        place = place_of_body(WOMEN, body)  # type: ignore[arg-type]
        assert place
        return max(odds_of(WOMEN, place).sizes)

    both = best({"chest": Measured(940, 10), "hips": Measured(1020, 10)})
    assert both > best({"chest": Measured(940, 10)}) > best({"chest": Measured(940, 50, estimated=True)})
    assert place_of_body(WOMEN, {"waist": Measured(700, 10)}) is None


def test_a_body_beyond_the_chart_has_no_size() -> None:
    place = place_of_body(WOMEN, {"chest": Measured(1300, 10), "hips": Measured(1400, 10)})
    assert place
    assert odds_of(WOMEN, place).larger > 0.99


def test_what_lies_between_two_rows_belongs_to_the_larger() -> None:
    kids = SizeChart(id="kids", rows=(SizeRow(size="104", height=(990, 1040)), SizeRow(size="116", height=(1110, 1160))))
    assert round(place_of(kids, "height", 1040)) == 0
    assert round(place_of(kids, "height", 1060)) == 1


def test_rows_that_overlap_part_in_the_middle() -> None:
    overlapping = SizeChart(id="o", rows=(SizeRow(size="S", chest=(800, 900)), SizeRow(size="M", chest=(880, 980))))
    assert round(place_of(overlapping, "chest", 885)) == 0
    assert round(place_of(overlapping, "chest", 895)) == 1


@pytest.mark.parametrize(
    ("said", "row"),
    [
        (SaidSize("M"), 1),
        (SaidSize("m"), 1),
        (SaidSize("40", "EU"), 1),
        (SaidSize("43", "EU"), 1.5),
        (SaidSize("8", "US"), 1),
        (SaidSize("165/92A", "CN"), 1),
        (SaidSize("XXL"), None),
        (SaidSize("60", "EU"), None),
        (SaidSize("10", "UK"), None),
    ],
)
def test_a_size_is_found_by_any_of_its_names(said: SaidSize, row: float | None) -> None:
    place = place_of_size(WOMEN, said)
    assert place is None if row is None else place == pytest.approx(row, abs=0.3)


@pytest.mark.parametrize(
    ("said", "size"),
    [
        (SaidSize("38"), "38"),
        (SaidSize("38", "CN"), "38"),
        (SaidSize("235", "CN"), "38"),
        (SaidSize("23.5", "JP"), "38"),
        (SaidSize("7", "US"), "38"),
    ],
)
def test_shoe_sizes_are_found_by_number_and_by_foot(said: SaidSize, size: str) -> None:
    place = place_of_size(SHOES, said)
    assert place is not None
    assert SHOES.rows[round(place)].size == size


def test_the_paris_point_turns_feet_into_eu_sizes_and_back() -> None:
    assert eu_of_foot(237) == pytest.approx(38, abs=0.3)
    assert eu_of_foot(263) == pytest.approx(42, abs=0.3)
    assert all(eu_of_foot(foot_of_eu(size)) == pytest.approx(size) for size in range(16, 50))


def test_shoes_without_a_chart_go_by_the_paris_point() -> None:
    shoe = product("unisex", "Shoes", sizes=("37", "38", "39"))
    made = chart_for([], shoe)
    assert made
    assert made.rows[round(place_of(made, "foot", 238))].size == "38"
    assert chart_for([], product("women", "Dresses")) is None
    assert paris_chart(["S", "M"]) is None


def test_a_size_on_one_chart_is_a_place_on_another() -> None:
    smaller = chart(
        "cut-small",
        rows=[row.model_copy(update={"chest": (row.chest[0] - 40, row.chest[1] - 40)}) for row in ROWS if row.chest],
    )
    here = place_on(WOMEN, smaller, 1)
    assert here is not None
    assert 0.5 < here < 1


def test_surer_findings_count_more() -> None:
    both = combined([Place(1, 0.2), Place(2, 0.8)])
    assert both
    assert 1 < both.at < 1.2
    assert both.sd < 0.2
    assert combined([]) is None


def test_a_doubted_size_gives_way() -> None:
    odds = odds_of(WOMEN, Place(1.4, 0.5))
    assert odds.best == 1
    assert odds.runner_up == 2
    assert odds.doubted(1, 0.2).best == 2
