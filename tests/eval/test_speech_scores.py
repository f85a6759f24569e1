import json
import wave
from io import BytesIO
from pathlib import Path

import pytest

from eval.speech import character_error_rate, measure_speech, spoken_numbers, word_error_rate
from tools.transcribe_speech import Transcript


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("ENTER FORTY ONE", "Enter 41."),
        ("ENTER SIXTY TWO THIRTY ONE", "Enter 62-31."),
        ("THREE THREE ONE OH ONE EIGHT EIGHT", "3310188"),
        ("ONE SIX OH SIX THREE", "16063."),
        ("ONE THREE SIX", "One three six."),
        ("ONE TEN", "110"),
        ("P A T T E R S O N", "P-A-T-T-E-R-S-O-N."),
        ("P U S K A R", "PUSKAR"),
        ("U T F F EIGHT", "U-T-F-F-8"),
        ("J Z A P SEVENTEEN", "JZAP17"),
        ("FOUR THOUSAND SEVEN HUNDRED TWENTY THREE", "4,723"),
        ("FIVE HUNDRED EIGHTY SEVEN", "five hundred and eighty-seven"),
        ("SIXTY THREE SIXTY FOUR AND A HALF", "63 64½"),
        ("MAY TWENTY FIRST NINETEEN SIXTY", "May 21st, 1960"),
        ("JULY THIRTIETH NINETEEN SIXTY FIVE", "July 30, 1965."),
        ("two point five metres", "2.5 metres"),
        ("Don't stop, Anna's bag!", "dont stop annas bag"),
        ("三百零五千三百三十四", "305,334"),
        ("三百二十八万一千一百三十八点四八", "328万1138.48"),
        ("二零零三年九月一日", "2003年9月1日。"),
        ("一亿二千万", "120000000"),
        ("两件，一共十五块", "2件一共15块"),
        ("这个 T恤 有 M 码吗？", "这个T恤有M码吗"),
    ],
)
def test_the_same_words_in_another_form_are_no_error(said: str, written: str) -> None:
    assert word_error_rate([said], [written]) == 0
    assert character_error_rate([said], [written]) == 0


def test_each_wrong_digit_counts_as_one_word() -> None:
    assert word_error_rate(["ONE FIVE TWO ONE SEVEN"], ["15218"]) == pytest.approx(1 / 5)


def test_each_wrong_letter_of_a_spelled_name_counts_as_one_word() -> None:
    assert word_error_rate(["F E N N I M O R E"], ["F-E-N-N-I-M-R-E"]) == pytest.approx(1 / 9)


def test_missed_added_and_mistaken_words_are_counted() -> None:
    assert word_error_rate(["where is my order"], ["where is order"]) == pytest.approx(1 / 4)
    assert word_error_rate(["where is my order"], ["so where is my border"]) == pytest.approx(2 / 4)
    assert word_error_rate(["stop"], ["please do stop now"]) == 3
    assert word_error_rate(["stop now"], [""]) == 1


def test_a_rate_is_taken_over_all_pairs_together() -> None:
    assert word_error_rate(["yes", "where is my order"], ["no", "where is my order"]) == pytest.approx(1 / 5)


def test_chinese_is_compared_character_by_character() -> None:
    assert character_error_rate(["我相信很好吃"], ["我相信 很好词。"]) == pytest.approx(1 / 6)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no reference"):
        word_error_rate(["..."], ["stop"])
    with pytest.raises(ValueError, match="shorter"):
        word_error_rate(["stop", "go"], ["stop"])


class Reader:
    """Transcribes each recording as the text that the test gives for its name; an order number as `number`."""

    def __init__(self, texts: dict[str, str], number: str = "") -> None:
        self.texts, self.number = texts, number

    def transcribe(self, recording: Path | bytes) -> Transcript:
        return Transcript(self.read(recording), "en", "en", 1.0, 2.0, 0.9)

    def read(self, recording: Path | bytes) -> str:
        return self.texts[recording.name] if isinstance(recording, Path) else self.number


def sound(file: Path, seconds: float = 2.0) -> None:
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(int(8000 * seconds) * 2))


def rows_of(file: Path, rows: dict[str, dict[str, object]]) -> Path:
    for name in rows:
        sound(file.parent / name)
    lines = [json.dumps({"audio": name, **row}, ensure_ascii=False) for name, row in rows.items()]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_both_recognisers_are_scored_on_the_same_recordings_in_one_form(tmp_path: Path) -> None:
    said = {"a.wav": {"text": "GO FORTY"}, "b.wav": {"text": "STOP"}, "c.wav": {"text": "HELP"}, "d.wav": {"text": "GO"}}
    ours, plain = Reader({"a.wav": "Go 40.", "c.wav": "Helped"}), Reader({"a.wav": "go forty", "c.wav": "Help!"})
    figures = measure_speech(ours, plain.read, transcripts=rows_of(tmp_path / "said.jsonl", said), limit=2)
    assert (figures["ours"]["wer"], figures["plain"]["wer"]) == (0.25, 0)
    assert figures["ours"]["recordings"] == figures["plain"]["recordings"] == 2
    assert figures["ours"]["seconds"] == 4
    assert figures["ours"]["rtf"] >= 0


def test_traditional_characters_are_no_errors_for_either(tmp_path: Path) -> None:
    said = rows_of(tmp_path / "said.jsonl", {"a.wav": {"text": "我要退货"}})
    figures = measure_speech(Reader({"a.wav": "我要对货"}), Reader({"a.wav": "我要退貨"}).read, transcripts=said)
    assert (figures["ours"]["cer"], figures["plain"]["cer"]) == (0.25, 0)


def test_slots_are_found_in_the_words_however_numbers_are_written(tmp_path: Path) -> None:
    wanted = rows_of(tmp_path / "labels.jsonl", {"a.wav": {"slots": {"size": "twelve ounce", "drink": " mocha"}}})
    figures = measure_speech(Reader({"a.wav": "A 12-ounce latte."}), Reader({"a.wav": "twelve ounce mocha"}).read, slots=wanted)
    assert (figures["ours"]["slots"], figures["plain"]["slots"]) == (0.5, 1)


def test_order_numbers_are_joined_of_single_digits_with_gaps_and_are_always_the_same(tmp_path: Path) -> None:
    for number in range(13):
        sound(tmp_path / f"{number % 10}_anna_{number}.wav", seconds=0.5)
    first, second = spoken_numbers(tmp_path)
    assert [each.digits for each in spoken_numbers(tmp_path)] == [first.digits, second.digits]
    assert len(first.digits) == 6
    with wave.open(BytesIO(first.recording)) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(6 * 0.5 + 5 * 0.08)
    figures = measure_speech(Reader({}, " ".join(first.digits)), Reader({}, "12").read, digits=tmp_path, limit=1)
    assert (figures["ours"]["exact"], figures["plain"]["exact"]) == (1, 0)


def test_a_folder_without_digits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="DIGIT_SPEAKER_NUMBER"):
        spoken_numbers(tmp_path)
