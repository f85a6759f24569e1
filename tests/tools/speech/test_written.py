import pytest

from tools.speech.written import as_written


@pytest.mark.parametrize(
    ("heard", "written"),
    [
        ("My order number is four two one seven.", "My order number is 4217."),
        ("order double four one seven please", "order 4417 please"),
        ("It's order number triple five oh one.", "It's order number 55501."),
        ("Where is order 42-17?", "Where is order 4217?"),
        ("where is order forty two seventeen", "where is order 4217"),
        ("The order is 960-833.", "The order is 960833."),
        ("order number W two six one one three four zero", "order number W2611340"),
        ("order hash W 2611340", "order #W2611340"),
        ("7-1-7-7-8", "71778"),
        ("8, 8, 9, 4, 8, 1", "889481"),
        ("One, two, five, two, zero.", "12520."),
        ("three three one oh one eight eight", "3310188"),
        ("P-A-T-T-E-R-S-O-N", "PATTERSON"),
        ("my name is P A T T E R S O N", "my name is PATTERSON"),
        ("it is anna dot li at example dot com", "it is anna.li@example.com"),
        ("My email is j o underscore smith at mail dot example dot org, thanks", "My email is jo_smith@mail.example.org, thanks"),
        ("anna.li at example.com", "anna.li@example.com"),
        ("a double extra large", "a XXL"),
        ("in extra small or extra-large", "in XS or XL"),
        ("Do you have size eight and a half?", "Do you have size 8.5?"),
        ("size forty two", "size 42"),
        ("nineteen dollars and ninety nine cents", "$19.99"),
        ("for nineteen ninety nine dollars", "for $19.99"),
        ("under two hundred and fifty dollars", "under 250 dollars"),
        ("on the fifth of May", "on May 5"),
        ("May twenty first nineteen sixty", "May 21, 1960"),
        ("November the third, two thousand and six", "November 3, 2006"),
    ],
)  # fmt: skip
def test_english_is_written_as_a_customer_would_type_it(heard: str, written: str) -> None:
    assert as_written(heard, "en") == written


@pytest.mark.parametrize(
    "said",
    [
        "one of these, or two of those",
        "I want to order two of them.",
        "Do you have it in size M or L?",
        "sizes 8, 9 or 10",
        "See you at noon at the shop.",
        "I may be late, the first one was too large",
        "No one told me.",
        "for my second order",
        "I'm at home.",
    ],
)
def test_english_words_that_are_no_number_stay(said: str) -> None:
    assert as_written(said, "en") == said


@pytest.mark.parametrize(
    ("heard", "written"),
    [
        ("我的订单号是四二幺七", "我的订单号是4217"),
        ("订单幺三五七什么时候到", "订单1357什么时候到"),
        ("一三八零零三个八", "13800888"),
        ("四二一七号订单", "4217号订单"),
        ("二百五左右的", "250左右的"),
        ("两百块以内", "200块以内"),
        ("三百五十块", "350块"),
        ("一千二有吗", "1200有吗"),
        ("九十九块九", "99.9块"),
        ("一百二十九块九毛九", "129.99块"),
        ("四十二码", "42码"),
        ("三十八码半", "38.5码"),
        ("三点五厘米", "3.5厘米"),
        ("加大码", "XL码"),
        ("十一月三十号", "11月30号"),
        ("二零二六年五月一日", "2026年5月1日"),
        ("我的邮箱是anna点li艾特example点com", "我的邮箱是anna.li@example.com"),
        ("买了五件", "买了5件"),
    ],
)
def test_chinese_is_written_as_a_customer_would_type_it(heard: str, written: str) -> None:
    assert as_written(heard, "zh") == written


@pytest.mark.parametrize(
    "said",
    [
        "一些都可以",
        "十分满意",
        "千万别忘了",
        "一个人",
        "三心二意",
        "第二个",
        "一起发货",
        "你这个二百五",
        "两件",
        "百分之百",
        "一二三",
    ],
)
def test_chinese_words_that_are_no_number_stay(said: str) -> None:
    assert as_written(said, "zh") == said
