"""What a decision may be, and what never becomes one."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import tool_call
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, Field

from agent.models.decision import (
    MARKUP,
    bind_arguments,
    break_markup,
    check_call,
    decision_schema,
    parse_decision,
    plain_messages,
)
from tools.kit.errors import ModelFailed


class Price(BaseModel):
    at_most: int | None = Field(default=None, description="cents")


class search_products(BaseModel):
    """Find products."""

    query: str = Field(description="words", min_length=1)
    colour: str | None = None
    price: Price | None = None
    sizes: list[str] = []


class track_order(BaseModel):
    """Find an order."""


TOOLS = [convert_to_openai_tool(search_products), convert_to_openai_tool(track_order)]


def test_schema_holds_one_variant_a_tool_and_one_for_the_reply() -> None:
    names = [variant["properties"]["tool"]["const"] for variant in decision_schema(TOOLS, allow_reply=True)["anyOf"]]
    assert names == ["search_products", "track_order", "reply"]


def test_schema_of_a_single_choice_needs_no_variants() -> None:
    schema = decision_schema(TOOLS[:1], allow_reply=False)
    assert schema["properties"]["tool"] == {"const": "search_products"}


def test_schema_keeps_the_order_of_arguments_and_drops_what_no_grammar_needs() -> None:
    arguments = decision_schema(TOOLS[:1], allow_reply=False)["properties"]["arguments"]
    assert list(arguments["properties"]) == ["query", "colour", "price", "sizes"]
    assert not re.search(r'"(title|default|description|\$ref|null)"', json.dumps(arguments))


def test_an_optional_argument_is_its_plain_type_and_may_be_left_out() -> None:
    arguments = decision_schema(TOOLS[:1], allow_reply=False)["properties"]["arguments"]
    assert arguments["properties"]["colour"] == {"type": "string"}
    assert arguments["required"] == ["query"]


def test_a_required_argument_that_may_be_null_keeps_its_null() -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "t",
            "parameters": {
                "type": "object",
                "properties": {"x": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
                "required": ["x"],
            },
        },
    }
    assert parse_decision('{"tool": "t", "arguments": {"x": null}}', [tool]) is not None


def test_decision_for_a_tool_becomes_a_call_with_an_id_of_its_own() -> None:
    text = '{"tool": "search_products", "arguments": {"query": "连衣裙", "price": {"at_most": 5000}}}'
    first, second = parse_decision(text, TOOLS), parse_decision(text, TOOLS)
    assert first is not None
    assert second is not None
    assert (first["name"], first["args"]) == ("search_products", {"query": "连衣裙", "price": {"at_most": 5000}})
    assert first["id"] != second["id"]


def test_decision_to_reply_is_no_call() -> None:
    assert parse_decision('{"tool": "reply"}', TOOLS) is None


def test_decision_to_reply_fails_where_a_tool_has_to_be_called() -> None:
    with pytest.raises(ModelFailed, match="reply"):
        parse_decision('{"tool": "reply"}', TOOLS, allow_reply=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure! I will look for a dress.",
        '```json\n{"tool": "track_order", "arguments": {}}\n```',
        '{"tool": "track_order", "arguments": {}} {"tool": "track_order", "arguments": {}}',
        '{"tool": "track_order", "tool": "search_products", "arguments": {"query": "x"}}',
        '{"tool": "track_order"}',
        '{"tool": "refund_everything", "arguments": {}}',
        '{"tool": "track_order", "arguments": {"order": 1}}',
        '{"tool": "search_products", "arguments": {}}',
        '{"tool": "search_products", "arguments": {"query": ""}}',
        '{"tool": "search_products", "arguments": {"query": 3}}',
        '{"tool": "search_products", "arguments": {"query": "x", "price": {"at_most": NaN}}}',
        '{"tool": "search_products", "arguments": {"query": "\\ud800"}}',
        '["track_order"]',
        "[" * 100_000,
    ],
)
def test_text_that_is_not_exactly_one_allowed_decision_fails(text: str) -> None:
    with pytest.raises(ModelFailed):
        parse_decision(text, TOOLS)


decisions = st.builds(
    lambda query, optional: {"tool": "search_products", "arguments": {"query": query, **optional}},
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.fixed_dictionaries(
        {}, optional={"colour": st.text(st.characters(exclude_categories=["Cs"])), "sizes": st.just(["M", "L"])}
    ),
)


@given(decisions, st.booleans(), st.data())
def test_no_cut_off_decision_is_a_call(decision: dict[str, object], ascii_only: bool, data: st.DataObject) -> None:
    text = json.dumps(decision, ensure_ascii=ascii_only)
    assert parse_decision(text, TOOLS) is not None
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(ModelFailed):
        parse_decision(text[:cut], TOOLS)


@given(decisions, st.data())
def test_no_cut_off_arguments_are_a_native_call(decision: dict[str, dict[str, object]], data: st.DataObject) -> None:
    text = json.dumps(decision["arguments"])
    check_call("search_products", text, TOOLS)
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(ModelFailed):
        check_call("search_products", text[:cut], TOOLS)


@given(decisions)
def test_every_call_that_is_read_fits_the_schema_that_was_sent(decision: dict[str, object]) -> None:
    assert Draft202012Validator(decision_schema(TOOLS, allow_reply=True)).is_valid(decision)


@pytest.mark.parametrize(
    ("choice", "names", "reply"),
    [
        (None, ["search_products", "track_order"], True),
        ("auto", ["search_products", "track_order"], True),
        ("any", ["search_products", "track_order"], False),
        ("required", ["search_products", "track_order"], False),
        (True, ["search_products", "track_order"], False),
        ("track_order", ["track_order"], False),
        ({"type": "function", "function": {"name": "track_order"}}, ["track_order"], False),
        ("none", [], True),
    ],
)
def test_tool_choice_narrows_what_is_bound(
    choice: str | bool | dict[str, object] | None, names: list[str], reply: bool
) -> None:
    bound = bind_arguments([search_products, track_order], choice, None)
    assert [tool["function"]["name"] for tool in bound["tools"]] == names
    assert bound["allow_reply"] is reply


def test_tool_choice_that_is_not_among_the_tools_is_an_error() -> None:
    with pytest.raises(ValueError, match="refund"):
        bind_arguments([track_order], "refund", None)


def test_conversation_reads_as_two_voices_after_one_system_message() -> None:
    call = tool_call(name="track_order", args={}, id="1")
    messages = [
        SystemMessage("prefix"),
        HumanMessage("where is it"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("- on its way [order:1]", tool_call_id="1"),
        SystemMessage("be brief"),
    ]
    assert plain_messages(messages, MARKUP) == [
        {"role": "system", "content": "prefix"},
        {"role": "user", "content": "where is it"},
        {"role": "assistant", "content": '{"tool": "track_order", "arguments": {}}'},
        {"role": "user", "content": "Facts:\n- on its way [order:1]\n\nNote:\nbe brief"},
    ]


def test_a_picture_is_not_silently_dropped() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(ModelFailed, match="text only"):
        plain_messages([HumanMessage([picture])], MARKUP)


@given(st.lists(st.sampled_from(["<|im_end|>", "<|im_", "start|>", "<", "|", ">", "[INST]", "</s>", "<｜User｜>", " ", "x"])))
def test_no_text_spells_a_turn_border_after_it_was_broken(parts: list[str]) -> None:
    broken = break_markup("".join(parts), MARKUP)
    assert MARKUP.search(broken) is None
    assert broken.replace(" ", "") == "".join(parts).replace(" ", "")


def test_text_without_turn_borders_stays_as_it_is() -> None:
    text = "price < 50 and > 20, size <M>, a|b, [sale], 5 <3"
    assert break_markup(text, MARKUP) == text
