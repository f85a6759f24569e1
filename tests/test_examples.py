"""The labelled sentences in prompts/examples/*.jsonl: their form, their spread and that each one adds something."""

import re
import unicodedata
from collections import Counter
from itertools import combinations

import pytest
from langchain.tools import BaseTool
from pydantic import BaseModel

from agent.decide import QUOTES
from agent.decide import TOOLS as OFFERED
from agent.examples import Example, load_examples
from tools.shop.types import LANGUAGES, Language

TOOLS: dict[str, BaseTool] = {tool.name: tool for tool in OFFERED}
LEAST = {
    "search_products": 380,
    "recommend_products": 190,
    "advise_size": 160,
    "answer_from_policy": 380,
    "track_order": 250,
    "quote_return": 150,
    "quote_exchange": 150,
    "quote_cancellation": 130,
    "quote_order_change": 150,
    "quote_address_change": 90,
    "hand_to_human": 170,
    "identify_product": 70,
    "reply": 270,
}
TOO_ALIKE = 0.75
"""Share of character pairs in common from which two sentences are one sentence with a word exchanged."""

both_languages = pytest.mark.parametrize("language", LANGUAGES)


def bare(sentence: str) -> str:
    """Letters and figures only, in one case, every number the same: what is left when spelling and slots are set aside."""
    folded = re.sub(r"\d+", "0", unicodedata.normalize("NFKC", sentence).casefold())
    # A message of marks alone is a sentence too, and has nothing else to be told apart by.
    return "".join(letter for letter in folded if letter.isalnum()) or sentence


def pairs(sentence: str) -> set[str]:
    """The sentence's neighbouring characters."""
    text = bare(sentence)
    return {text[at : at + 2] for at in range(max(1, len(text) - 1))}


@both_languages
def test_every_tool_has_enough_examples(language: Language) -> None:
    counts = Counter(tool for example in load_examples(language) for tool in example.tools)
    assert set(counts) == set(LEAST)
    assert {tool: count for tool, count in counts.items() if count < LEAST[tool]} == {}


@both_languages
def test_arguments_are_those_the_tool_takes(language: Language) -> None:
    for example in load_examples(language):
        if example.tools[0] == "reply" or len(example.tools) > 1:
            assert example.arguments == {}, example.say
        else:
            tool = TOOLS[example.tools[0]]
            assert set(example.arguments) <= set(tool.args), example.say
            schema = tool.tool_call_schema
            assert isinstance(schema, type)
            assert issubclass(schema, BaseModel)
            schema.model_validate(example.arguments, strict=True)


@both_languages
def test_no_sentence_is_empty_or_padded(language: Language) -> None:
    assert [example.say for example in load_examples(language) if not example.say or example.say != example.say.strip()] == []


@both_languages
def test_no_sentence_stands_twice_or_differs_by_a_slot_only(language: Language) -> None:
    # The same words after another turn, or with a photo, are another sentence.
    said = [(e.say, pairs(e.say), (e.before, e.photo)) for e in load_examples(language)]
    holding: dict[tuple[str, object], list[int]] = {}
    for number, (_, its_pairs, situation) in enumerate(said):
        for pair in its_pairs:
            holding.setdefault((pair, situation), []).append(number)
    shared = Counter(two for numbers in holding.values() for two in combinations(numbers, 2))
    alike = [
        (said[one][0], said[other][0])
        for (one, other), count in shared.items()
        if count > TOO_ALIKE * (len(said[one][1]) + len(said[other][1]) - count)
    ]
    assert alike == []


@both_languages
def test_what_code_reads_from_the_words_takes_no_arguments(language: Language) -> None:
    assert [e.say for e in load_examples(language) if e.tools[0] in {*QUOTES, "advise_size"} and e.arguments] == []


@both_languages
def test_a_picture_is_identified_and_only_a_picture_is(language: Language) -> None:
    examples = load_examples(language)
    assert all(example.photo for example in examples if "identify_product" in example.tools)
    # A picture of damage is not a search: the bank has to show that too.
    assert {"identify_product", "hand_to_human", "quote_return", "quote_exchange"} <= {
        tool for example in examples if example.photo for tool in example.tools
    }


@both_languages
def test_every_reply_says_which_small_talk_it_is(language: Language) -> None:
    def says_talk(example: Example) -> bool:
        return example.talk is not None

    assert [example for example in load_examples(language) if says_talk(example) != (example.tools == ("reply",))] == []


@both_languages
def test_numbers_of_shown_products_lean_on_an_earlier_turn(language: Language) -> None:
    for example in load_examples(language):
        if str(example.arguments.get("product", "")).isdigit():
            assert example.before == "shown", example.say


@both_languages
def test_order_numbers_are_those_the_customer_wrote(language: Language) -> None:
    for example in load_examples(language):
        if order := example.arguments.get("order"):
            assert order in example.say


def test_the_languages_are_written_and_not_translated_into_one_another() -> None:
    english, chinese = ({example.say for example in load_examples(language)} for language in LANGUAGES)
    assert english & chinese <= {"ok"}
    assert sum(bool(re.search(r"[一-鿿]", say)) for say in chinese) > 0.98 * len(chinese)
    assert not any(re.search(r"[一-鿿]", say) for say in english)
