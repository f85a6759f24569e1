"""One step as JSON: the schema a server constrains a model to, and the strict reading of what it wrote.

A decision is `{"tool": "search_products", "arguments": {"query": "dress"}}` or `{"tool": "reply"}`. Only the grammar knows
which tools are bound; their descriptions stand in the agent's own prompt, so that this prompt's beginning never changes.
"""

import json
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from tools.kit.errors import ModelFailed

REPLY = "reply"
"""The tool name by which a model chooses to write to the customer."""

Tool = dict[str, Any]
"""A tool as OpenAI describes it: {"type": "function", "function": {"name", "description", "parameters"}}."""

MARKUP = re.compile(r"<[|｜][^\s<>]{1,40}[|｜]>|</?(?:s|bos|eos|start_of_turn|end_of_turn)>|\[/?INST\]|<</?SYS>>")
"""How the usual chat models spell the borders of a turn; for servers that do not tell their model's own tokens."""


def bind_arguments(
    tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
    tool_choice: str | bool | dict[str, Any] | None,
    allow_reply: bool | None,
) -> dict[str, Any]:
    """What `bind_tools` binds: `tools` in OpenAI's form, narrowed to a tool chosen by name, and whether "reply" may be chosen.

    `tool_choice` is None or "auto" (a tool or a reply), "any", "required" or True (a tool), "none", or one tool's name.
    `allow_reply` overrules it. Raises ValueError for the name of a tool that is not among `tools`.
    """
    described = [convert_to_openai_tool(tool) for tool in tools]
    if isinstance(tool_choice, dict):
        tool_choice = str(tool_choice["function"]["name"])
    if tool_choice == "none":
        return {"tools": [], "allow_reply": True}
    free = tool_choice in (None, False, "auto")
    if not free and tool_choice not in (True, "any", "required"):
        described = [tool for tool in described if tool["function"]["name"] == tool_choice]
        if not described:
            raise ValueError(f"tool_choice {tool_choice!r} is none of the tools given")
    return {"tools": described, "allow_reply": free if allow_reply is None else allow_reply}


def decision_schema(tools: Sequence[Tool], allow_reply: bool) -> dict[str, Any]:
    """The JSON schema of one decision: a variant for each tool and, if allowed, one for the reply."""
    variants = [
        _object({"tool": {"const": tool["function"]["name"]}, "arguments": _arguments(tool)}, ["tool", "arguments"])
        for tool in tools
    ]
    if allow_reply:
        variants.append(_object({"tool": {"const": REPLY}}, ["tool"]))
    return variants[0] if len(variants) == 1 else {"anyOf": variants}


def parse_decision(text: str, tools: Sequence[Tool], *, allow_reply: bool = True) -> ToolCall | None:
    """The tool call that `text` stands for, with a fresh id; None where the model chose to reply.

    Nothing is mended: text that is cut off, has something around it, names a tool that is not in `tools` or breaks the
    tool's schema raises ModelFailed.
    """
    decision = _strict_json(text)
    if allow_reply and decision == {"tool": REPLY}:
        return None
    name = decision.get("tool") if isinstance(decision, dict) else None
    tool = next((tool for tool in tools if tool["function"]["name"] == name), None)
    if tool is None:
        allowed = ", ".join([*(tool["function"]["name"] for tool in tools), *([REPLY] if allow_reply else [])])
        raise ModelFailed(f"the chat model chose {text[:200]!r}, which is none of {allowed}; try a larger model.")
    _check(decision, decision_schema([tool], allow_reply=False), text)
    return tool_call(name=str(name), args=decision["arguments"], id=f"call_{secrets.token_hex(12)}")


def check_call(name: str, arguments: str, tools: Sequence[Tool]) -> None:
    """Accept a native call only if its arguments are whole, strict JSON that fits the tool's schema; else raise ModelFailed."""
    tool = next((tool for tool in tools if tool["function"]["name"] == name), None)
    if tool is None:
        raise ModelFailed(f"the chat model called {name!r}, which it was not offered; try a larger model.")
    _check(_strict_json(arguments), _arguments(tool), arguments)


def decided_chunk(call: ToolCall | None, usage: UsageMetadata | None, model_name: str) -> AIMessageChunk:
    """A decision as the whole of a model's stream: one call, or, where it is None, nothing said."""
    calls = []
    if call:
        arguments = json.dumps(call["args"], ensure_ascii=False)
        calls = [tool_call_chunk(name=call["name"], args=arguments, id=call["id"], index=0)]
    return AIMessageChunk(
        content="",
        tool_call_chunks=calls,
        usage_metadata=usage,
        response_metadata={"finish_reason": "tool_calls" if call else "stop", "model_name": model_name},
        chunk_position="last",
    )


def plain_messages(messages: Sequence[BaseMessage], markup: re.Pattern[str]) -> list[dict[str, str]]:
    """Messages as a model without tools reads them: roles system (first only), user and assistant, in turn.

    Calls become the decision's JSON in the assistant's turn, tool answers "Facts:" and later system messages "Note:" in the
    user's. What matches `markup` (the model's own turn borders) is broken by a space, so that no text opens a turn of its own.
    Raises ModelFailed for pictures and other content that is no text.
    """
    plain: list[dict[str, str]] = []
    for number, message in enumerate(messages):
        role, content = _plain(message, is_first=number == 0)
        content = break_markup(content, markup)
        if plain and plain[-1]["role"] == role:
            # Many chat templates refuse two turns of one speaker.
            plain[-1]["content"] += f"\n\n{content}"
        else:
            plain.append({"role": role, "content": content})
    return plain


def break_markup(text: str, markup: re.Pattern[str]) -> str:
    """Put a space into everything that matches `markup`, after its first character; repeated until nothing matches."""
    while markup.search(text):
        text = markup.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
    return text


def _plain(message: BaseMessage, *, is_first: bool) -> tuple[str, str]:
    if isinstance(message, AIMessage):
        calls = [
            json.dumps({"tool": call["name"], "arguments": call["args"]}, ensure_ascii=False) for call in message.tool_calls
        ]
        return "assistant", "\n".join(part for part in (message.text, *calls) if part)
    unreadable = {block["type"] for block in message.content_blocks} - {"text"}
    if unreadable:
        raise ModelFailed(f"the chat model reads text only, and was given {', '.join(sorted(unreadable))}.")
    if isinstance(message, SystemMessage):
        return ("system", message.text) if is_first else ("user", f"Note:\n{message.text}")
    if isinstance(message, ToolMessage):
        return "user", f"{'Refused' if message.status == 'error' else 'Facts'}:\n{message.text}"
    if isinstance(message, HumanMessage):
        return "user", message.text
    raise ModelFailed(f"the chat model was given a {type(message).__name__}, which has no place in a prompt.")


def _arguments(tool: Tool) -> dict[str, Any]:
    parameters = tool["function"].get("parameters") or {"type": "object", "properties": {}}
    return _compact(parameters, parameters.get("$defs", {}))


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_UNUSED = {"title", "default", "description", "examples", "$defs", "strict"}
"""Says nothing about which JSON is valid, and would only make the grammar larger."""


def _compact(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The same schema, smaller: references put in place, annotations gone, "X or null" of an optional property just X."""
    if "$ref" in schema:
        return _compact(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    small: dict[str, Any] = {key: value for key, value in schema.items() if key not in _UNUSED}
    for key in ("anyOf", "oneOf", "allOf"):
        if key in small:
            small[key] = [_compact(each, definitions) for each in small[key]]
    if isinstance(small.get("items"), dict):
        small["items"] = _compact(small["items"], definitions)
    if small.get("type") == "object" and "properties" in small:
        required = small.get("required", [])
        small["properties"] = {
            name: _compact(each if name in required else _without_null(each), definitions)
            for name, each in small["properties"].items()
        }
        small.setdefault("additionalProperties", False)
    return small


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    some = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if not some:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**rest, **some[0]} if len(some) == 1 else {**rest, "anyOf": some}


def _check(value: Any, schema: dict[str, Any], text: str) -> None:
    problem = best_match(Draft202012Validator(schema).iter_errors(value))
    if problem is not None:
        raise ModelFailed(
            f"the chat model's decision {text[:200]!r} breaks the tool's schema at {problem.json_path}: {problem.message[:200]}; "
            "try a larger model."
        )


def _strict_json(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_duplicates)
        text.encode()
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ModelFailed(
            f"the chat model's decision {text[:200]!r} is not one whole JSON object ({error}); ask again or try a larger model."
        ) from error
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)
