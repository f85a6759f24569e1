"""A chat model that says what it was told to say, in order: for tests and demonstrations without weights."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LanguageModelInput
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import ConfigDict, Field

from agent.models.decision import Tool, bind_arguments, decided_chunk, parse_decision
from agent.models.stopping import check_stopped


class Scripted(BaseChatModel):
    """Gives `replies` one after the other: a string is written word by word, a decision becomes a tool call, an Exception is raised.

    A decision is {"tool": …, "arguments": {…}} and must be possible with the tools bound, as it must for a real model;
    {"tool": "reply"} gives an empty message. `calls` holds the messages of every request.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    replies: Sequence[str | dict[str, Any] | Exception]
    calls: list[list[BaseMessage]] = Field(default_factory=list, exclude=True)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def model_name(self) -> str:
        """The name in traces."""
        return self._llm_type

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | None = None,
        allow_reply: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """A model whose decisions are held to these tools."""
        return self.bind(**bind_arguments(tools, tool_choice, allow_reply), **kwargs)

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
        stop: list[str] | None = None,  # noqa: ARG002 (part of the interface; a script has its ends already)
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        tools: Sequence[Tool] = (),
        allow_reply: bool = True,
        **kwargs: Any,  # noqa: ARG002 (what only other models can do something with)
    ) -> Iterator[ChatGenerationChunk]:
        self.calls.append(list(messages))
        if len(self.calls) > len(self.replies):
            raise AssertionError(f"the script of {len(self.replies)} replies is used up; asked once more with {messages[-1:]}")
        reply = self.replies[len(self.calls) - 1]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, dict):
            call = parse_decision(json.dumps(reply), tools, allow_reply=allow_reply)
            yield ChatGenerationChunk(message=decided_chunk(call, None, self._llm_type))
            return
        for word in re.findall(r"\w+\W*|\W+", reply):
            check_stopped()
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
        end = AIMessageChunk(content="", response_metadata={"finish_reason": "stop"}, chunk_position="last")
        yield ChatGenerationChunk(message=end)
