import pytest

from tools.speech.invented import is_invented, said_once, says_twice, trails_off, without_repeats


def test_sign_offs_of_subtitles_are_believed_only_of_clear_speech() -> None:
    assert is_invented("谢谢观看。", 0.9, -0.2)
    assert is_invented("Thanks for watching!", 0.1, -1.4)
    assert not is_invented("Thank you.", 0.1, -0.2)


def test_text_is_invented_where_the_model_itself_hears_silence_and_is_unsure() -> None:
    assert is_invented("Where is my order?", 0.9, -1.4)
    assert not is_invented("Where is my order?", 0.9, -0.2)
    assert not is_invented("Help.", 0.2, -1.4)
    assert is_invented(" ...", 0.0, -0.1)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("I want I want I want I want a coat", "I want a coat"),
        ("Thank you. Thank you. Thank you. Thank you.", "Thank you."),
        ("好的，好的，好的，好的，", "好的，"),
        ("no, no, no, that is wrong", "no, no, no, that is wrong"),
        ("order 5 5 5 5 1", "order 5 5 5 5 1"),
        ("哈哈哈哈哈", "哈哈哈哈哈"),
    ],
)
def test_what_is_written_over_and_over_is_kept_once(written: str, kept: str) -> None:
    assert without_repeats(written) == kept


def test_what_is_said_twice_is_told() -> None:
    assert says_twice("Enter 41. Enter 41.")
    assert says_twice("repeat repeat repeat")
    assert says_twice("325561, 325561")
    assert not says_twice("Enter 41.")
    assert not says_twice("")
    assert not says_twice("5 5 5 5")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Enter 41. Enter 41.", "Enter 41."),
        ("repeat Repeat repeat. repeat", "repeat"),
        ("no, no, that is no good", "no, no, that is no good"),
        ("5512 5512", "5512 5512"),
        ("", ""),
    ],
)
def test_what_is_nothing_but_the_same_again_is_kept_once_unless_it_is_a_number(written: str, kept: str) -> None:
    assert said_once(written) == kept


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("a coat of about 80, of about 85,", True),
        ("send it to the shop to the shop", True),
        ("no no", False),
        ("4 2 4 2", False),
        ("one in red and one in blue", False),
        ("", False),
    ],
)
def test_words_that_trail_off_into_themselves_are_read_again(text: str, is_so: bool) -> None:
    assert trails_off(text) == is_so
