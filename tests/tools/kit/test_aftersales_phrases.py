"""Whatever code may have to say of a quote, or of why there is none, has its sentence in both languages."""

import re
from pathlib import Path
from typing import get_args

import pytest

from tools.kit.phrases import _phrases
from tools.shop.policy import Condition, MethodKind, Question
from tools.shop.quotes import LineKind, Request
from tools.shop.types import LANGUAGES, Language, OrderStatus

TOOLS = Path(__file__).resolve().parents[3] / "tools"
KINDS = [request.model_fields["kind"].default for request in get_args(get_args(Request)[0])]


def needed() -> set[str]:
    source = "\n".join(path.read_text("utf-8") for path in TOOLS.rglob("*.py"))
    refusals = re.findall(r'NotAllowed\(\s*"(\w+)"', source)
    assert len(refusals) > 20
    return {
        *(f"no_{why}" for why in refusals),
        *(f"quote_{kind}" for kind in KINDS),
        *(f"done_{kind}" for kind in KINDS),
        *(f"line_{kind}" for kind in get_args(LineKind)),
        *(f"condition_{each}" for each in get_args(Condition)),
        *(f"method_{kind}" for kind in get_args(MethodKind)),
        *(f"ask_{question}" for question in get_args(Question)),
        *(f"status_{status}" for status in get_args(OrderStatus)),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_there(language: Language) -> None:
    assert needed() - set(_phrases(language)) == set()


def test_both_languages_have_the_same_sentences_with_the_same_blanks() -> None:
    english, chinese = (_phrases(language) for language in LANGUAGES)
    assert set(english) == set(chinese)
    for key, sentence in english.items():
        assert set(re.findall(r"\$[a-z_]+", sentence)) >= set(re.findall(r"\$[a-z_]+", chinese[key])), key
