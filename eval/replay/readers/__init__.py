"""Reads recorded calls in the forms that recorders and recognisers write: one module a form, told by its content.

To add a form: write a module with `recognises(source) -> bool` and `read(source) -> Iterator[Entry]` and name it in READERS. What a file
has that cannot be used is told as a Problem, with its place; the rest is used. Who is the customer is settled here, for all forms.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from agent.intake import detect_language
from eval.replay.call import About, Call, Problem, Speaker, UnreadableCall, Utterance
from eval.replay.readers import (
    call_form,
    contact_lens,
    plain_text,
    recording,
    srt,
    transcribe,
    turns_csv,
    twilio,
    webvtt,
    whisper_json,
)
from eval.replay.readers.source import ABOUT, Said, Source, Turn, read_yaml
from tools.shop.types import Language

if TYPE_CHECKING:
    from tools.transcribe_speech import Transcriber

READERS: dict[str, ModuleType] = {
    "recording": recording,
    "webvtt": webvtt,
    "contact-lens": contact_lens,
    "transcribe": transcribe,
    "twilio": twilio,
    "whisper": whisper_json,
    "call": call_form,
    "srt": srt,
    "csv": turns_csv,
    "text": plain_text,
}
"""In the order in which a file is held against them: those with the surest marks first."""
_ROLES: dict[Speaker, str] = {
    "customer": "customer|caller|client|user|shopper|guest|buyer|visitor|cust|顾客|客户|买家|用户|来电|客人",
    "agent": "agent|rep|representative|operator|advisor|adviser|assistant|support|staff|csr|associate|clerk|客服|坐席|座席|店员|卖家|商家",
    "system": "system|ivr|queue|action|announcement|系统|语音导航|提示音",
}
_REDACTED = re.compile(r"\[(?:pii|redacted|removed|[A-Z][A-Z_]{2,})\]|\*{3,}|＊{2,}|█+", re.IGNORECASE)


def read_call(path: Path, transcriber: "Callable[[], Transcriber]", call_id: str | None = None) -> Call:
    """Read one call. Raises UnreadableCall, telling what is wrong with the file and what to do."""
    source = Source(path, transcriber)
    about = _about(path)
    name = next((name for name, reader in READERS.items() if reader.recognises(source)), None)
    if name is None:
        raise UnreadableCall(f"'{path}' has none of the forms {', '.join(READERS)}; see eval/replay/readers for each.")
    said: list[Said] = []
    problems: list[Problem] = []
    try:
        for entry in READERS[name].read(source):
            if isinstance(entry, Said):
                said.append(entry)
            elif isinstance(entry, Problem):
                problems.append(entry)
            else:
                about = _joined(about, entry)
    except (TypeError, AttributeError, LookupError, ValueError) as error:
        raise UnreadableCall(
            f"'{path}' begins like {name} and goes on otherwise ({str(error)[:200]}); export it again."
        ) from error
    said = _timed([each._replace(text=text) for each in said if (text := " ".join(each.text.split()))])
    if not said:
        first = f" ({problems[0].place}: {problems[0].what})" if problems else ""
        raise UnreadableCall(f"nothing is said in '{path}'{first}; if somebody speaks in it, mend it and run again.")
    turns = source.turns() if any(not each.label for each in said) else []
    roles, guesses = _roles([*(each.label for each in said), *(turn.label for turn in turns)], about.speakers)
    utterances: list[Utterance] = []
    for each in said:
        label = each.label or _speaker_at(each, turns)
        if label is None:
            problems.append(
                Problem(place=each.place, what="no speaker is named, and no CSV of turns tells who speaks: left out")
            )
        else:
            utterances.append(_utterance(each, roles[label], utterances[-1].language if utterances else None))
    if not any(each.speaker == "customer" for each in utterances):
        raise UnreadableCall(
            f"no customer speaks in '{path}'; name who is who in '{path.stem}{ABOUT}' (speakers: {{{said[0].label or 'NAME'}: customer}})"
            " or, if no speaker is named at all, put a CSV with speaker, start and end beside it."
        )
    return Call(
        id=call_id or path.stem,
        format=name,
        utterances=tuple(utterances),
        at=about.at,
        customer=about.customer,
        problems=(*problems, *guesses),
        expect=about.expect,
    )


def _utterance(said: Said, speaker: Speaker, before: Language | None) -> Utterance:
    return Utterance(
        speaker=speaker,
        text=said.text,
        start_ms=said.start_ms,
        end_ms=said.end_ms,
        channel=said.channel,
        confidence=said.confidence,
        language=said.language or detect_language(said.text, before),
        redacted=said.redacted or bool(_REDACTED.search(said.text)),
    )


def find_calls(paths: Iterable[Path]) -> list[Path]:
    """The files of calls among these: files as they are named, of folders all files in them but those that stand beside a call."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UnreadableCall(f"'{path}' does not exist; name files of calls or folders that hold them.")
        inside = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        stems = {(each.parent, each.stem) for each in inside if each.suffix.lower() != ".csv"}
        found += [
            each
            for each in inside
            if not each.name.endswith(ABOUT)
            and not each.name.startswith(".")
            and not (path.is_dir() and each.suffix.lower() == ".csv" and (each.parent, each.stem) in stems)
        ]
    return list(dict.fromkeys(found))


def _about(path: Path) -> About:
    beside = path.with_name(path.stem + ABOUT)
    if not beside.is_file():
        return About()
    try:
        return About.model_validate(read_yaml(beside.read_text(encoding="utf-8")) or {})
    except (OSError, ValueError, yaml.YAMLError, ValidationError) as error:
        raise UnreadableCall(f"'{beside}' cannot be used: {str(error)[:300]}; see eval/replay/call.py for its form.") from error


def _joined(beside: About, inside: About) -> About:
    """What stands in the file, and over it what stands beside it."""
    return inside.model_copy(update={name: getattr(beside, name) for name in beside.model_fields_set})


def _timed(said: list[Said]) -> list[Said]:
    """In the order in which they began; those without a time stay where they are."""
    if any(each.start_ms is None for each in said):
        return said
    return sorted(said, key=lambda each: each.start_ms or 0)


def _speaker_at(said: Said, turns: list[Turn]) -> str | None:
    """Who speaks most of the time in which this was said."""
    if said.start_ms is None or said.end_ms is None or not turns:
        return None
    shared = [(min(said.end_ms, turn.end_ms) - max(said.start_ms, turn.start_ms), turn.label) for turn in turns]
    most, label = max(shared, key=lambda each: each[0])
    return label if most > 0 else None


def _roles(labels: Iterable[str], given: dict[str, Speaker]) -> tuple[dict[str, Speaker], list[Problem]]:
    """Who is the customer, by label: as was given, by the label's own words, else who speaks first is the one who took the call."""
    names = list(dict.fromkeys(label for label in labels if label))
    roles = {name: role for name in names if (role := given.get(name) or _role_named(name))}
    guesses: list[Problem] = []
    for name in names:
        if name not in roles:
            taken = set(roles.values())
            other: Speaker = "customer" if "agent" in taken else "agent"
            roles[name] = other
            guesses.append(
                Problem(place=f"speaker '{name}'", what=f"taken for the {other}; tell it in speakers if it is not so")
            )
    return roles, guesses


def _role_named(label: str) -> Speaker | None:
    plain = re.sub(r"[\W\d_]+", " ", label.lower()).split()
    for role, words in _ROLES.items():
        if any(re.fullmatch(words, word) for word in plain) or (re.search(rf"^(?:{words})", label) and not label.isascii()):
            return role
    return None
