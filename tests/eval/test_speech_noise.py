import pytest

from eval.speech_noise import noisy

SAID = "where is my order 4217, it was two new pairs for me"


def test_the_same_seed_mishears_the_same() -> None:
    assert noisy(SAID, "en", 0.5, 3) == noisy(SAID, "en", 0.5, 3)
    assert len({noisy(SAID, "en", 0.5, seed) for seed in range(20)}) > 5


def test_nothing_is_misheard_at_a_rate_of_nothing() -> None:
    assert noisy(SAID, "en", 0, 1) == SAID


def test_digits_are_taken_for_others_lost_or_doubled() -> None:
    heard = {noisy("4217", "en", 1, seed) for seed in range(30)}
    assert "4217" not in heard
    assert {len(each) for each in heard} >= {3, 4, 5}
    assert all(each.isdigit() for each in heard)


def test_words_are_taken_for_others_of_the_same_sound() -> None:
    assert "where" not in noisy("where", "en", 1, 1)
    assert noisy("a mail at 9 for anna@example.com", "en", 1, 1).endswith("anna@example.com")


def test_chinese_characters_are_taken_for_others_of_the_same_sound() -> None:
    from agent.train.noise import sound_of

    said = "我的订单什么时候到"
    heard = noisy(said, "zh", 1, 2)
    assert heard != said
    assert [sound_of(each) for each in heard] == [sound_of(each) for each in said]


def test_a_rate_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="no share"):
        noisy(SAID, "en", 1.5, 1)
