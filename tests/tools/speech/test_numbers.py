import numpy as np
import pytest

from tools.speech.numbers import bursts, cut_short, digits_of, doubtful_runs, hear_again, is_number, with_pauses
from tools.speech.whisper import SAMPLE_RATE, Encoded, Sound, Word, Written

SOUND = np.zeros(SAMPLE_RATE, np.float32)


def beeps(count: int, gap_s: float = 0.08) -> Sound:
    tone = (0.3 * np.sin(np.arange(int(0.3 * SAMPLE_RATE)) * 2 * np.pi * 300 / SAMPLE_RATE)).astype(np.float32)
    return np.concatenate([part for _ in range(count) for part in (tone, np.zeros(int(gap_s * SAMPLE_RATE), np.float32))])


def test_each_digit_read_out_is_a_burst() -> None:
    assert len(bursts(beeps(6))) == 6
    assert bursts(np.zeros(0, np.float32)) == []


def test_pauses_between_bursts_become_longer_and_nothing_is_lost() -> None:
    sound = beeps(3)
    slow = with_pauses(sound, bursts(sound))
    assert len(slow) - len(sound) == 2 * int(0.25 * SAMPLE_RATE)
    assert np.abs(slow).sum() == pytest.approx(np.abs(sound).sum(), rel=1e-3)


def test_only_a_number_and_nothing_else_is_one() -> None:
    assert is_number("4, 2, 1, 7.", "en", SOUND)
    assert is_number("四二幺七", "zh", SOUND)
    assert not is_number("my order is 4217", "en", SOUND)
    assert not is_number("42", "en", SOUND)
    assert is_number("42", "en", beeps(4)), "two digits were lost"
    assert is_number("4 or 9 3 0 2", "en", SOUND, is_unsure=True)
    assert not is_number("4 or 9 3 0 2", "en", SOUND)
    assert not is_number("8266B", "en", SOUND, is_unsure=True), "the letter belongs to it"
    assert not is_number("my order is 4217", "en", SOUND, is_unsure=True)
    assert not is_number("Yes.", "en", beeps(4))


class Hearing:
    """A recogniser that hears what it is told: the slow reading, and the slow one of digits only."""

    def __init__(self, slow: str, digits: str = "not asked") -> None:
        self.slow, self.digits = slow, digits

    def encode(self, sound: Sound) -> Encoded:
        return Encoded(None, len(sound) / SAMPLE_RATE)

    def write_down(self, encoded: Encoded, language: str) -> Written:
        return Written(self.slow, (), -0.1, 0.0)

    def write_digits(self, encoded: Encoded, language: str, count: int) -> str:
        assert self.digits != "not asked", "two readings agreed already"
        return self.digits


def test_two_readings_alike_are_sure() -> None:
    assert hear_again(Hearing("4, 2, 1, 7"), beeps(4), "4217", "en") == ("4217", True)
    assert hear_again(Hearing("4 2 1", "4217"), beeps(4), "4217", "en") == ("4217", True)
    assert hear_again(Hearing("4 2 1 7", "4217"), beeps(4), "42", "en") == ("4217", True)


def test_where_no_two_readings_agree_the_one_with_a_digit_for_each_burst_is_taken_and_is_doubtful() -> None:
    assert hear_again(Hearing("4 2 2 1 7", "4219"), beeps(4), "42", "en") == ("4219", False)
    assert hear_again(Hearing("4 2 2 1 7", "429"), beeps(4), "42", "en") == ("42217", False)
    assert hear_again(Hearing("", ""), beeps(4), "42", "en") == ("42", False)


def test_a_number_said_in_tens_has_more_digits_than_bursts_and_stays_as_it_was_heard_first() -> None:
    assert hear_again(Hearing("14 15", "361"), beeps(3), "36-14-15", "en") == ("361415", False)


def test_the_digits_of_a_text_are_those_of_its_written_form() -> None:
    assert digits_of("double four, one seven", "en") == "4417"


def heard(*words: tuple[str, float]) -> list[Word]:
    return [Word(f" {text}", place, place + 0.9, confidence) for place, (text, confidence) in enumerate(words)]


def test_a_number_of_which_one_digit_was_hardly_heard_is_doubtful() -> None:
    words = heard(("my", 0.9), ("order", 0.9), ("is", 0.2), ("4", 0.9), ("2", 0.3), ("1", 0.9), ("7.", 0.9), ("Thanks", 0.3))
    assert doubtful_runs(words, "en") == [("4217", 3, 6.9)]


def test_a_clearly_heard_number_and_a_short_one_are_not_doubtful() -> None:
    assert doubtful_runs(heard(("4", 0.9), ("2", 0.8), ("1", 0.9), ("7", 0.9)), "en") == []
    assert doubtful_runs(heard(("two", 0.1), ("shirts", 0.9)), "en") == []
    assert doubtful_runs(heard(("四", 0.4), ("二", 0.8), ("幺", 0.9), ("七", 0.9)), "zh") == [("4217", 0, 3.9)]


def test_a_word_like_a_digit_right_after_an_orders_number_may_be_its_last_digit() -> None:
    assert cut_short(heard(("order", 0.9), ("217", 0.9), ("rate", 0.6), ("is", 0.9))) == [("217", "rate", 1, 2.9)]
    assert cut_short(
        heard(("my", 0.9), ("reference", 0.9), ("is", 0.9), ("3", 0.9), ("3", 0.9), ("1", 0.9), ("for.", 0.6))
    ) == [("331", "for", 3, 6.9)]


def test_a_word_like_a_digit_elsewhere_is_a_word() -> None:
    assert cut_short(heard(("order", 0.9), ("217", 0.9), ("please", 0.9))) == []
    assert cut_short(heard(("a", 0.9), ("rate", 0.9), ("of", 0.9), ("217", 0.9), ("for", 0.9))) == []
    assert cut_short(heard(("order", 0.9), ("12", 0.9), ("for", 0.9), ("me", 0.9))) == []
    assert cut_short(heard(("rate", 0.9))) == []
    late = (Word("order", 0, 0.9, 0.9), Word("217", 1, 1.9, 0.9), Word("for", 2.4, 2.6, 0.9))
    assert cut_short(late) == []
