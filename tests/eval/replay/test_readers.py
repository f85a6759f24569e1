"""Recorded calls in the forms of their recorders, read into one."""

from pathlib import Path
from typing import NoReturn

import pytest
from calls_in_forms import FORMS

from eval.replay.call import Call, UnreadableCall
from eval.replay.readers import find_calls, read_call


def no_transcriber() -> NoReturn:
    raise AssertionError("written calls need no recogniser")


def read(path: Path) -> Call:
    return read_call(path, no_transcriber)


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_call_and_tells_what_it_left_out(tmp_path: Path, name: str) -> None:
    call = read(written(tmp_path, name, FORMS[name]))
    said = [(each.speaker, each.text.lower().replace(",", "").rstrip(".")) for each in call.utterances]
    assert said == [
        ("agent", "harbour and pine how can i help?"),
        ("customer", "where is my order 1042 & what now?"),
        ("agent", "it left yesterday"),
    ]
    starts = [each.start_ms // 1000 for each in call.utterances if each.start_ms is not None]
    assert starts == [0, 2, 4]
    assert call.seconds == pytest.approx(6.0, abs=2.1)
    assert {each.language for each in call.utterances} == {"en"}
    assert call.problems
    assert all(problem.place for problem in call.problems)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_told_by_its_content_and_not_by_its_name(tmp_path: Path, name: str) -> None:
    right = read(written(tmp_path, name, FORMS[name]))
    wrong = read(written(tmp_path, "unknown.dat", FORMS[name]))
    assert wrong.format == right.format
    assert wrong.utterances == right.utterances


@pytest.mark.parametrize(
    ("name", "place"), [("voice.vtt", "line 16"), ("sub.srt", "line 10"), ("turns.csv", "line 4"), ("talk.txt", "line 3")]
)
def test_a_bad_line_is_reported_with_its_number(tmp_path: Path, name: str, place: str) -> None:
    assert place in {problem.place for problem in read(written(tmp_path, name, FORMS[name])).problems}


def test_the_date_and_the_customer_are_read_where_they_stand(tmp_path: Path) -> None:
    for name in ("own.yaml", "talk.txt", "twilio.json"):
        call = read(written(tmp_path, name, FORMS[name]))
        assert call.at is not None
        assert call.at.timestamp() == 1795187700
        assert call.customer == (None if name == "twilio.json" else "c001")


def test_redaction_channel_and_confidence_are_kept(tmp_path: Path) -> None:
    lens = read(written(tmp_path, "lens.json", FORMS["lens.json"]))
    assert [each.redacted for each in lens.utterances] == [False, True, False]
    twilio = read(written(tmp_path, "twilio.json", FORMS["twilio.json"]))
    assert [each.channel for each in twilio.utterances] == [0, 1, 0]
    assert twilio.utterances[1].confidence == 0.91
    marked = read(written(tmp_path, "a.txt", "Agent: your e-mail?\nCustomer: it is [EMAIL]\n"))
    assert [each.redacted for each in marked.utterances] == [False, True]


def test_amazon_transcribes_speakers_are_told_apart_and_the_first_took_the_call(tmp_path: Path) -> None:
    words = [("spk_0", 0.0, "Hello"), ("spk_1", 1.0, "Hi"), ("spk_1", 1.5, "there"), ("spk_0", 2.0, "Yes")]
    items = ", ".join(
        f'{{"type": "pronunciation", "start_time": "{at}", "end_time": "{at + 0.3}", "speaker_label": "{who}",'
        f' "alternatives": [{{"confidence": "0.9", "content": "{word}"}}]}}'
        for who, at, word in words
    )
    text = f'{{"results": {{"transcripts": [], "speaker_labels": {{"speakers": 2, "segments": []}}, "items": [{items}]}}}}'
    call = read(written(tmp_path, "t.json", text))
    assert [(each.speaker, each.text) for each in call.utterances] == [
        ("agent", "Hello"),
        ("customer", "Hi there"),
        ("agent", "Yes"),
    ]
    assert any("spk_0" in problem.place for problem in call.problems)


def test_what_stands_beside_a_call_names_its_speakers_and_its_day(tmp_path: Path) -> None:
    text = FORMS["whisperx.json"]
    file = written(tmp_path, "call.json", text)
    written(tmp_path, "call.call.yaml", "customer: c007\nspeakers: {SPEAKER_00: customer, SPEAKER_01: agent}\n")
    call = read(file)
    assert [each.speaker for each in call.utterances] == ["customer", "agent", "customer"]
    assert call.customer == "c007"
    assert find_calls([tmp_path]) == [file]


def test_turns_beside_subtitles_without_speakers_tell_who_speaks(tmp_path: Path) -> None:
    cues = "".join(f"{i}\n00:00:0{i},000 --> 00:00:0{i},800\nwords {i}\n\n" for i in range(3))
    file = written(tmp_path, "call.srt", cues)
    with pytest.raises(UnreadableCall, match="beside it"):
        read(file)
    written(tmp_path, "call.csv", "speaker,start,end\nagent,0,0.9\ncustomer,0:00:01,0:00:02\nagent,2,3\n")
    assert [each.speaker for each in read(file).utterances] == ["agent", "customer", "agent"]
    assert find_calls([tmp_path]) == [file]


def test_chinese_calls_are_read_in_utf_8_utf_16_and_gb_18030(tmp_path: Path) -> None:
    text = "客服：您好，港松。\n顾客：我的订单 1042 到哪了？\n客服：昨天发出了。\n"
    for encoding in ("utf-8", "utf-16", "gb18030"):
        file = tmp_path / f"{encoding}.txt"
        file.write_bytes(text.encode(encoding))
        call = read(file)
        assert [each.speaker for each in call.utterances] == ["agent", "customer", "agent"]
        assert call.exchanges()[0].customer == "我的订单 1042 到哪了？"
        assert {each.language for each in call.utterances} == {"zh"}


def test_the_customers_turns_stand_with_the_answers_that_followed(tmp_path: Path) -> None:
    call = read(
        written(
            tmp_path,
            "a.txt",
            "Agent: hello\nCustomer: hi\nCustomer: 1042?\nSystem: beep\nAgent: one moment\nAgent: it left\nCustomer: bye\n",
        )
    )
    assert [(each.customer, each.human) for each in call.exchanges()] == [("hi 1042?", "one moment\nit left"), ("bye", "")]


ALIASES = "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nutterances: [*b, *b, *b]\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.txt", b""),
        ("letter.txt", b"Dear Sir,\nthis is a letter.\nYours\n"),
        ("binary.json", bytes(range(256)) * 8),
        ("deep.json", b"[" * 200_000),
        ("aliases.yaml", ALIASES.encode()),
        ("silent.vtt", b"WEBVTT\n\n"),
        ("agents.txt", b"Agent: hello\nAgent: anybody there?\n"),
        ("nobody.json", b'{"segments": [{"start": 0, "end": 1, "text": "hello"}]}'),
        ("odd.json", b'{"results": {"transcripts": [], "channel_labels": {"channels": [7]}}}'),
        ("about.txt", b"Agent: hello\nCustomer: hi\n"),
    ],
)
def test_a_file_without_a_call_is_refused_with_its_name_and_a_next_step(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    if name == "about.txt":
        written(tmp_path, "about.call.yaml", "custommer: c001\n")
    with pytest.raises(UnreadableCall, match=r"'.*'.*") as refused:
        read(tmp_path / name)
    assert (name.split(".")[0]) in str(refused.value)
    assert len(str(refused.value)) < 600
