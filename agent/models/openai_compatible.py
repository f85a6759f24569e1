"""A chat model behind any server that speaks OpenAI's protocol: vLLM, llama-server, Ollama, OpenAI.

`tool_mode` "native" sends the tools along; "json" makes the server constrain one decision to JSON, for models that cannot
call tools. Either way a call counts only when the server said that it was finished and its arguments fit the tool's schema.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Self

import httpx
import openai
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LanguageModelInput
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolCall
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_openai import ChatOpenAI
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from agent.models.decision import (
    MARKUP,
    Tool,
    bind_arguments,
    break_markup,
    check_call,
    decided_chunk,
    decision_schema,
    parse_decision,
    plain_messages,
)
from agent.models.stopping import check_stopped
from tools.kit.errors import ModelFailed

_NEXT_STEP = {
    400: 'read what the server says; if it is about tools or response_format, set model.tool_mode to "json" or "native"',
    401: "check model.api_key",
    403: "check model.api_key and what it may use",
    404: 'check model.name, and model.base_url, which usually ends in "/v1"',
    429: "wait, or raise the limit of this key",
}
_ROLES: dict[str, Callable[[str], BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}


class OpenAICompatible(BaseChatModel):
    """Answers with the model called `model` of the server at `base_url`, like http://localhost:8000/v1.

    A request that fails or stays without an answer is sent once more. Then, and wherever an answer is cut off or is no answer,
    ModelFailed says which server, what happened and what to do.
    """

    model_config = ConfigDict(populate_by_name=True)

    base_url: str
    model_name: str = Field(alias="model")
    api_key: SecretStr = SecretStr("")
    """Empty for servers that want none; keys of the environment are never sent."""
    tool_mode: Literal["native", "json"] = "native"
    timeout_s: float = 120.0
    """Seconds in which nothing comes from the server before the request has failed."""
    temperature: float | None = 0.2
    """Of replies; decisions are made at 0. None leaves both to the server."""
    max_tokens: int = 400

    _chat: ChatOpenAI = PrivateAttr()

    @model_validator(mode="after")
    def _open_client(self) -> Self:
        self._chat = ChatOpenAI(
            base_url=self.base_url,
            model=self.model_name,
            # The client wants a key, and would take OPENAI_API_KEY if it got none.
            api_key=SecretStr(self.api_key.get_secret_value() or "none"),
            timeout=httpx.Timeout(self.timeout_s, connect=min(self.timeout_s, 10.0)),
            max_retries=1,
            temperature=self.temperature,
            max_completion_tokens=self.max_tokens,
            stream_usage=True,
            use_responses_api=False,
        )
        return self

    @property
    def _llm_type(self) -> str:
        return "openai_compatible"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model_name, "base_url": self.base_url, "tool_mode": self.tool_mode}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | None = None,
        allow_reply: bool | None = None,
        write_reply: bool = True,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """A model that may call one of `tools`, or reply unless `allow_reply` is False or `tool_choice` forces a call.

        With `write_reply` False, choosing to reply may give an empty message, for a caller who only asks what to do next.
        """
        bound = bind_arguments(tools, tool_choice, allow_reply)
        return self.bind(**bound, write_reply=write_reply, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        tools: Sequence[Tool] = (),
        allow_reply: bool = True,
        write_reply: bool = True,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        spent: UsageMetadata | None = None
        if self.tool_mode == "native":
            messages = [_without_markup(message) for message in messages]
            if tools:
                yield ChatGenerationChunk(message=self._call_natively(messages, tools, allow_reply, **kwargs))
                return
        else:
            plain = plain_messages(messages, MARKUP)
            messages = [_ROLES[message["role"]](message["content"]) for message in plain]
            if tools:
                call, spent = self._decide_as_json(messages, tools, allow_reply)
                if call is not None or not write_reply:
                    yield ChatGenerationChunk(message=decided_chunk(call, spent, self.model_name))
                    return
        for chunk in self._ask(messages, stop=stop, **kwargs):
            if isinstance(chunk, AIMessageChunk) and chunk.usage_metadata and spent:
                chunk.usage_metadata, spent = add_usage(spent, chunk.usage_metadata), None
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=ChatGenerationChunk(message=chunk))
            yield ChatGenerationChunk(message=chunk)

    def _call_natively(
        self, messages: list[BaseMessage], tools: Sequence[Tool], allow_reply: bool, **kwargs: Any
    ) -> AIMessageChunk:
        """The whole answer to a request with tools, let out only when it is known to be whole."""
        choice = "auto" if allow_reply else "required"
        whole = _sum(self._ask(messages, tools=list(tools), tool_choice=choice, **{**self._cold(), **kwargs}))
        if whole.response_metadata.get("finish_reason") == "length" and (whole.tool_call_chunks or not allow_reply):
            raise self._failed(f"the answer was cut off at {self.max_tokens} tokens in the middle of a tool call", "ask again")
        for call in whole.tool_call_chunks:
            check_call(call["name"] or "", call["args"] or "{}", tools)
        if not allow_reply and not whole.tool_call_chunks:
            raise self._failed(
                f"the model wrote {whole.text[:100]!r} where a tool had to be called", 'set model.tool_mode to "json"'
            )
        return whole

    def _decide_as_json(
        self, messages: list[BaseMessage], tools: Sequence[Tool], allow_reply: bool
    ) -> tuple[ToolCall | None, UsageMetadata | None]:
        schema = decision_schema(tools, allow_reply)
        response_format = {"type": "json_schema", "json_schema": {"name": "decision", "strict": True, "schema": schema}}
        # In extra_body, because the client would parse a response_format of its own in a way that hides cut streams.
        whole = _sum(self._ask(messages, extra_body={"response_format": response_format}, **self._cold()))
        if whole.response_metadata.get("finish_reason") != "stop":
            raise self._failed(f"the decision did not end within {self.max_tokens} tokens: {whole.text[:200]!r}", "ask again")
        return parse_decision(whole.text, tools, allow_reply=allow_reply), whole.usage_metadata

    def _cold(self) -> dict[str, Any]:
        return {} if self.temperature is None else {"temperature": 0}

    def _ask(self, messages: list[BaseMessage], **request: Any) -> Iterator[AIMessageChunk]:
        """The server's answer in chunks; raises ModelFailed for every way in which it can fail to be one."""
        finished = False
        try:
            for chunk in self._chat._stream(messages, **request):
                check_stopped()
                message = chunk.message
                if not isinstance(message, AIMessageChunk):
                    raise ValueError(f"an answer as {message.type}")
                if chunk.generation_info:
                    message.response_metadata = {**message.response_metadata, **chunk.generation_info}
                finished = finished or "finish_reason" in message.response_metadata
                yield message
        except openai.APIStatusError as error:
            step = _NEXT_STEP.get(error.status_code, "look into the server's log")
            raise self._failed(f"status {error.status_code}: {str(error.message)[:300]}", step) from error
        except (openai.APITimeoutError, httpx.TimeoutException) as error:
            raise self._failed(
                f"nothing came for {self.timeout_s:g} s", "raise model.timeout_s, or see how busy the server is"
            ) from error
        except openai.APIConnectionError as error:
            cause = error.__cause__.__cause__ if error.__cause__ else None
            raise self._failed(f"no connection ({cause or error})", "check model.base_url, and that the server runs") from error
        except (openai.OpenAIError, httpx.HTTPError) as error:
            raise self._failed(
                f"the answer broke off ({str(error)[:300]})", "ask again, or look into the server's log"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._failed(
                f"what came is not OpenAI's protocol ({error!r:.300})", 'check model.base_url, which usually ends in "/v1"'
            ) from error
        if not finished:
            raise self._failed("the answer broke off without a finish reason", "ask again, or look into the server's log")

    def _failed(self, what: str, next_step: str) -> ModelFailed:
        return ModelFailed(f"{self.model_name} at {self.base_url}: {what}; {next_step}.")


def _sum(chunks: Iterator[AIMessageChunk]) -> AIMessageChunk:
    whole = AIMessageChunk(content="")
    for chunk in chunks:
        whole += chunk
    return whole + AIMessageChunk(content="", chunk_position="last")


def _without_markup(message: BaseMessage) -> BaseMessage:
    """The same message with nothing in it that spells a turn's border; in JSON, "<" stands in strings only."""
    content: Any = json.loads(break_markup(json.dumps(message.content, ensure_ascii=False), MARKUP))
    broken = message.model_copy(update={"content": content})
    if isinstance(broken, AIMessage) and broken.tool_calls:
        broken.tool_calls = json.loads(break_markup(json.dumps(broken.tool_calls, ensure_ascii=False), MARKUP))
    return broken
