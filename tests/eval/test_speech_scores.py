import json
from pathlib import Path

import pytest

from eval.speech import character_error_rate, measure_speech, word_error_rate
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
    """Transcribes each recording as the text that the test gives for its name."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def transcribe(self, recording: Path) -> Transcript:
        return Transcript(self.texts[recording.name], "en", "en", 1.0, 2.0, 0.9)


def folder_of(folder: Path, texts: dict[str, str]) -> Path:
    rows = [json.dumps({"audio": f"audio/{name}", "text": text}, ensure_ascii=False) for name, text in texts.items()]
    (folder / "transcripts.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return folder


def test_a_folder_of_english_speech_is_scored_by_words(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.wav": "GO FORTY", "b.wav": "STOP", "c.wav": "HELP"})
    figures = measure_speech(Reader({"a.wav": "Go 40.", "b.wav": "top"}), folder, limit=2)
    assert figures["wer"] == 0.25
    assert figures["utterances"] == 2
    assert figures["seconds"] == 4
    assert figures["real_time_factor"] >= 0
    assert "cer" not in figures


def test_a_folder_of_chinese_speech_is_scored_by_characters(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.wav": "我要退货"})
    figures = measure_speech(Reader({"a.wav": "我要对货"}), folder)
    assert figures["cer"] == 0.25
    assert "wer" not in figures
