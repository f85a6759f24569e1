"""Bodies and sizes in customers' words: nothing is guessed, nothing impossible is used."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.sizes.reading import SaidSize, read_body


@pytest.mark.parametrize(
    ("said", "height_mm", "weight_g"),
    [
        ("I'm 165 cm and 52 kg", 1650, 52_000),
        ("I am 5'5\" and weigh 115 lb", 1651, 52_163),
        ("5 ft 5, 8 stone", 1651, 50_802),
        ("5'5, 115lbs", 1651, 52_163),
        ("1.65m, 8 st 4", 1650, 52_617),
        ("165/52kg", 1650, 52_000),
        ("1米65，52公斤", 1650, 52_000),
        ("我1.65m 104斤", 1650, 52_000),
        ("我一米六五，一百零四斤", 1650, 52_000),
        ("身高165体重52", 1650, 52_000),
        ("身高1米6 体重110斤", 1600, 55_000),
        ("165 104斤", 1650, 52_000),
        ("160cm 50kg的女生穿多大", 1600, 50_000),
        ("我5ft5，115lbs左右", 1651, 52_163),
        ("I am 62 inches tall and weigh 120 lbs", 1575, 54_431),
        ("170cm 70kg, do you have it under $50?", 1700, 70_000),
    ],
)
def test_height_and_weight_are_read_in_every_unit(said: str, height_mm: int, weight_g: int) -> None:
    read = read_body([said])
    assert (read.measures.get("height"), read.weight_g) == (height_mm, weight_g)
    assert not read.doubts


@pytest.mark.parametrize(
    ("said", "chest", "waist", "hips"),
    [
        ("bust 88cm, waist 70cm, hips 95", 880, 700, 950),
        ("bust 34 waist 28 hips 38", 864, 711, 965),
        ("my bust is 34 inches, waist 28\", hips 38 in", 864, 711, 965),
        ("88 cm bust, 70 cm waist and 95 cm hips", 880, 700, 950),
        ("measurements 88-70-95", 880, 700, 950),
        ("胸围88 腰围70 臀围95", 880, 700, 950),
        ("三围 88/70/95", 880, 700, 950),
        ("胸围880mm，腰围2尺1，臀围95厘米", 880, 700, 950),
        ("胸围88，腰围二尺一，臀95", 880, 700, 950),
    ],
)  # fmt: skip
def test_girths_are_read_in_both_languages(said: str, chest: int, waist: int, hips: int) -> None:
    assert read_body([said]).measures == {"chest": chest, "waist": waist, "hips": hips}


@pytest.mark.parametrize("said", ["foot length 24.5 cm", "my feet are 24.5 cm long", "脚长245mm", "脚长24.5", "脚长：24.5厘米"])
def test_foot_lengths_are_read(said: str) -> None:
    assert read_body([said]).measures == {"foot": 245}


@pytest.mark.parametrize(
    ("said", "quantity"),
    [
        ("height 16 cm, 52 kg", "height"),
        ("I'm 16 cm tall", "height"),
        ("身高16厘米", "height"),
        ("waist 7 cm", "waist"),
        ("脚长2cm", "foot"),
        ("my bust is 880 cm", "chest"),
        ("165 cm, 12 kg", "weight"),
        ("I weigh 2 kg", "weight"),
    ],
)
def test_a_number_that_no_body_has_is_doubted_and_not_used(said: str, quantity: str) -> None:
    read = read_body([said])
    assert [doubt.quantity for doubt in read.doubts] == [quantity]
    assert quantity not in read.measures
    assert quantity != "weight" or read.weight_g is None


@pytest.mark.parametrize("said", ["体重104，身高165", "I'm 165 cm and weigh 115"])
def test_a_weight_without_a_unit_that_may_be_either_is_asked_about(said: str) -> None:
    read = read_body([said])
    assert [doubt.quantity for doubt in read.doubts] == ["weight_unit"]
    assert read.weight_g is None


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("I wear EU 38", SaidSize("38", "EU", None, True)),
        ("I usually wear US 7.5", SaidSize("7.5", "US", None, True)),
        ("平时穿38码", SaidSize("38", None, None, True)),
        ("穿美码7.5", SaidSize("7.5", "US", None, True)),
        ("I wear M in Zara", SaidSize("M", None, "Zara", True)),
        ("I'm a size 10 in H&M", SaidSize("10", None, "H&M", True)),
        ("我在优衣库穿M码", SaidSize("M", None, "优衣库", True)),
        ("ZARA的衣服我平时穿S码", SaidSize("S", None, "ZARA", True)),
        ("I normally take a medium", SaidSize("M", None, None, True)),
        ("I wear L in harbour & pine", SaidSize("L", None, "Harbour & Pine", True)),
        ("usually a medium", SaidSize("M", None, None, True)),
        ("我穿165/88A", SaidSize("165/88A", None, None, True)),
        ("EU 38", SaidSize("38", "EU", None, True)),
        ("38码", SaidSize("38", None, None, True)),
        ("I'm a guy, US 10 in Nike", SaidSize("10", "US", "Nike", True)),
        ("i wear xl in nike", SaidSize("XL", None, "nike", True)),
        ("我平时穿xl", SaidSize("XL", None, None, True)),
        ("平时穿m的", SaidSize("M", None, None, True)),
        ("i usually wear s", SaidSize("S", None, None, True)),
        ("EU 38?", SaidSize("38", "EU", None, False)),
        ("有38码吗", SaidSize("38", None, None, False)),
        ("do you have it in M", SaidSize("M", None, None, False)),
        ("what is UK 12 in EU?", SaidSize("12", "UK", None, False)),
        ("would M fit me?", SaidSize("M", None, None, False)),
        ("M码能穿吗", SaidSize("M", None, None, False)),
    ],
)
def test_a_size_worn_is_told_from_one_asked_about(said: str, size: SaidSize) -> None:
    assert read_body([said], brands=["Harbour & Pine"]).sizes == (size,)


@pytest.mark.parametrize("said", ["my bust is 36B", "胸围75C", "I wear a bra, bust 34DD"])
def test_a_bra_size_is_no_girth(said: str) -> None:
    assert "chest" not in read_body([said]).measures


def test_contractions_and_prices_are_no_sizes() -> None:
    assert (
        read_body(["I'm sure it's under $38 and I'll take 2, what's the size? I don't wear s'mores, it is 1 m long"]).sizes
        == ()
    )


def test_words_of_the_products_title_are_not_the_customers() -> None:
    read = read_body(["I want the Men's Slim Jeans"], titles=["Men's Slim Jeans"])
    assert read.audience is None
    assert read.wish is None


def test_later_numbers_replace_earlier_ones_and_mend_a_doubt() -> None:
    read = read_body(["height 16 cm, 52 kg", "sorry, 160 cm"])
    assert (read.measures["height"], read.weight_g, read.doubts) == (1600, 52_000, ())


@pytest.mark.parametrize(
    ("first", "then", "audience"),
    [
        ("I'm 165 cm, 52 kg", "and for my husband, which size?", "men"),
        ("我165cm，52公斤", "那我老公穿多大", "men"),
        ("I'm 165 cm, 52 kg", "what about my son?", "kids"),
    ],
)
def test_one_persons_body_is_never_used_for_another(first: str, then: str, audience: str) -> None:
    read = read_body([first, then])
    assert read.measures == {}
    assert read.weight_g is None
    assert read.audience == audience


def test_the_other_persons_body_is_kept_while_the_talk_is_of_them() -> None:
    read = read_body(["a jacket for my wife", "she is 160 cm and 55 kg"])
    assert (read.measures["height"], read.weight_g, read.audience) == (1600, 55_000, "women")


@given(st.integers(140, 199), st.integers(35, 150))
def test_any_height_and_weight_come_back_as_written(height: int, weight: int) -> None:
    bmi = weight / (height / 100) ** 2
    said = [
        f"I'm {height} cm, {weight} kg",
        f"身高{height}，{weight}公斤",
        f"{height // 100}米{height % 100:02d} {2 * weight}斤",
    ]
    for text in said:
        read = read_body([text])
        assert read.measures["height"] == height * 10
        assert read.weight_g == (weight * 1000 if 11 <= bmi <= 75 else None)


@given(st.text(alphabet="0123456789.'\"/- cmkgEUSML身高米斤码穿胸围 waisthpbuf", max_size=80))
def test_no_text_breaks_the_reading(said: str) -> None:
    read = read_body([said])
    assert all(80 <= mm <= 2300 for mm in read.measures.values())


@pytest.mark.parametrize(
    "said", ["height" + " " * 4000, "waist is " * 500, "9" * 4000, "身高" * 2000, "I wear " * 600, "5' " * 1500]
)
def test_a_long_message_is_read_in_no_time(said: str) -> None:
    began = time.perf_counter()
    read_body([said])
    assert time.perf_counter() - began < 2
