"""The call form itself, as YAML or JSON; see eval/replay/call.py."""

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import ValidationError

from eval.replay.call import About, Problem, UnreadableCall, Utterance
from eval.replay.readers.source import Said, Source, read_yaml


def recognises(source: Source) -> bool:
    return isinstance(source.object.get("utterances"), list) or (
        "\nutterances:" in f"\n{source.text}" and isinstance(_loaded(source), dict)
    )


def read(source: Source) -> Iterator[Said | Problem | About]:
    whole = source.object or _loaded(source)
    try:
        yield About.model_validate({name: value for name, value in whole.items() if name in About.model_fields})
    except ValidationError as error:
        raise UnreadableCall(f"'{source.path}': {_first(error)}; see eval/replay/call.py for the form.") from error
    for number, each in enumerate(whole.get("utterances") or (), start=1):
        place = f"utterance {number}"
        try:
            said = Utterance.model_validate(each)
        except ValidationError as error:
            yield Problem(place=place, what=_first(error))
            continue
        yield Said(
            said.speaker,
            said.text,
            place,
            said.start_ms,
            said.end_ms,
            said.channel,
            said.confidence,
            said.language,
            said.redacted,
        )


def _loaded(source: Source) -> Any:
    try:
        return read_yaml(source.text)
    except yaml.YAMLError as error:
        raise UnreadableCall(f"'{source.path}' is no valid YAML: {str(error)[:200]}.") from error


def _first(error: ValidationError) -> str:
    problem = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, problem['loc'])) or 'all of it'}: {problem['msg']}"
