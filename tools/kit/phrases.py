"""Sentences that code says, in the customer's language: read from prompts/phrases.<language>.yaml.

A shop edits those files; a blank that the code does not fill, or a key that is missing, is an error, never an empty sentence.
"""

from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import yaml

from tools.kit.errors import BadSettings
from tools.shop.types import Language

PROMPTS = Path(__file__).resolve().parents[2] / "prompts"


@cache
def prompt_data(name: str) -> dict[str, Any]:
    """What prompts/`name`, a YAML file, maps names to; not to be changed. Raises BadSettings if it cannot be read or is no mapping."""
    path = PROMPTS / name
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadSettings(f"'{path}' cannot be read ({error}); mend it.") from error
    if not isinstance(loaded, dict):
        raise BadSettings(f"'{path}' must map names to what they stand for; see the file as shipped.")
    return loaded


@cache
def _phrases(language: Language) -> dict[str, str]:
    loaded = prompt_data(f"phrases.{language}.yaml")
    if not all(isinstance(text, str) for text in loaded.values()):
        raise BadSettings(f"'{PROMPTS / f'phrases.{language}.yaml'}' must map keys to sentences; see the file as shipped.")
    return loaded


def phrase(key: str, language: Language, /, **values: object) -> str:
    """The sentence `key` in `language` with its blanks filled.

    Raises BadSettings naming the file if the key is missing or a blank is left over.
    """
    try:
        return Template(_phrases(language)[key]).substitute({name: str(value) for name, value in values.items()}).strip()
    except (KeyError, ValueError) as error:
        raise BadSettings(
            f"prompts/phrases.{language}.yaml: sentence '{key}': {error!r}; add it or mend its blanks."
        ) from error
