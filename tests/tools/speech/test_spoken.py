import pytest

from tools.speech.spoken import sentences, spoken


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("It costs $19.99.", "It costs nineteen dollars and ninety-nine cents."),
        ("It costs €1,250.", "It costs one thousand two hundred and fifty euros."),
        ("£1.01", "one pound and one penny"),
        ("Order 1042 is shipped.", "Order one, zero, four, two is shipped."),
        ("Order #W2611340 is shipped.", "Order W, two, six, one, one, three, four, zero is shipped."),
        (
            "Carrier DHL, tracking number 00340434.",
            "Carrier DHL, tracking number zero, zero, three, four, zero, four, three, four.",
        ),
        ("Visa ending in 4242", "Visa ending in four, two, four, two"),
        ("delivered on 3 May 2026", "delivered on the third of May twenty twenty-six"),
        ("by 2026-11-21", "by the twenty-first of November twenty twenty-six"),
        ("within 3–5 days", "within three to five days"),
        ("2 × Fleece (XL)", "two of Fleece (extra large)"),
        ("a **20%** discount", "a twenty percent discount"),
        ("- first\n- second", "first\nsecond"),
        ("Write to anna.li@example.com", "Write to anna dot li at example dot com"),
        ("[the rule](https://example.com/a)", "the rule"),
        ("2.5 stars", "2.5 stars"),
    ],
)
def test_english_is_read_as_a_person_would(written: str, said: str) -> None:
    assert spoken(written, "en") == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("价格是¥99.90。", "价格是九十九块九。"),
        ("一共¥250", "一共二百五十元"),
        ("¥1,205.05", "一千二百零五块零五分"),
        ("订单 1042 已发货", "订单 幺 零 四 二 已发货"),
        ("运单号 SF1042", "运单号 S F 幺 零 四 二"),
        ("2026年5月3日送达", "二零二六年五月三日送达"),
        ("3-5天", "三到五天"),
        ("打20%的折", "打百分之二十的折"),
        ("2件，XL码", "两件，加大号码"),
        ("身高165cm", "身高一百六十五厘米"),
    ],
)
def test_chinese_is_read_as_a_person_would(written: str, said: str) -> None:
    assert spoken(written, "zh") == said


def test_a_sentence_is_given_out_as_soon_as_it_is_complete() -> None:
    given: list[str] = []

    def written() -> "object":
        for piece in ("Order 10", "42 is shipped. It ar", "rives on Monday.", " 你好。再见"):
            given.append(piece)
            yield piece

    heard = sentences(written())
    assert next(heard) == "Order 1042 is shipped."
    assert len(given) == 2
    assert list(heard) == ["It arrives on Monday.", "你好。", "再见"]


def test_a_price_is_not_cut_into_two_sentences() -> None:
    assert list(sentences(iter(["It costs $19.", "99 today."]))) == ["It costs $19.99 today."]
