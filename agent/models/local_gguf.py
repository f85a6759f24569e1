"""The chat model that runs in this process: decisions under a grammar, replies token by token.

With tools bound it makes one decision, as JSON under a grammar of those tools, at temperature 0; where it chooses to reply it
goes straight on to write. Without tools it writes. What it knows of the tools it reads in the system prompt.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LanguageModelInput
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCall
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import ConfigDict, Field, PrivateAttr

from agent.models.decision import Tool, bind_arguments, decided_chunk, decision_schema, parse_decision, plain_messages
from agent.models.llama_engine import Engine, load_engine
from tools.kit.errors import ModelFailed

__all__ = ["LocalGGUF", "load_engine"]

MOST_DECISION_TOKENS = 256


class LocalGGUF(BaseChatModel):
    """Answers with the model of `engine`; any number of these may share one engine.

    `engine` may also be a function that loads it: then `load`, or the first request, does so. That takes seconds in which nothing
    else of the process runs, and many first questions need no model.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    engine: Engine | Callable[[], Engine] = Field(exclude=True)
    temperature: float = 0.2
    """Of replies; decisions are made at 0."""
    max_tokens: int = 400
    """Of a reply; one that is cut off there has the finish reason "length"."""
    stop: list[str] | None = None
    """A reply ends before the first of these."""
    timeout_s: float = 120.0
    """Seconds without a new piece of the answer after which the model has failed."""

    _loading: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def load(self) -> Engine:
        """The engine, loaded now if it was not before. Raises what loading raises."""
        with self._loading:
            if not isinstance(self.engine, Engine):
                self.engine = self.engine()
            return self.engine

    @property
    def _llm_type(self) -> str:
        return "local_gguf"

    @property
    def model_name(self) -> str:
        """The file's name without its ending."""
        return self.load().name

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.load().name, "temperature": self.temperature, "max_tokens": self.max_tokens}

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

        With `write_reply` False, choosing to reply gives an empty message, for a caller who only asks what to do next.
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
        prompt = plain_messages(messages, self.load().markup)
        spent: UsageMetadata | None = None
        if tools:
            call, spent = self._decide(prompt, tools, allow_reply)
            if call is not None or not write_reply:
                yield ChatGenerationChunk(message=decided_chunk(call, spent, self.load().name))
                return
        request = {"temperature": self.temperature, "max_tokens": self.max_tokens, "stop": stop or self.stop or [], **kwargs}
        for piece in self.load().stream(prompt, timeout_s=self.timeout_s, **request):
            message = AIMessageChunk(content=piece.text)
            if piece.finish_reason:
                message.usage_metadata = add_usage(spent, piece.usage)
                message.response_metadata = {"finish_reason": piece.finish_reason, "model_name": self.load().name}
                message.chunk_position = "last"
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(piece.text, chunk=chunk)
            yield chunk

    def _decide(
        self, prompt: list[dict[str, str]], tools: Sequence[Tool], allow_reply: bool
    ) -> tuple[ToolCall | None, UsageMetadata | None]:
        schema = decision_schema(tools, allow_reply)
        pieces = list(
            self.load().stream(
                prompt,
                timeout_s=self.timeout_s,
                temperature=0,
                max_tokens=MOST_DECISION_TOKENS,
                response_format={"type": "json_schema", "json_schema": {"schema": schema}},
            )
        )
        text = "".join(piece.text for piece in pieces)
        if pieces[-1].finish_reason != "stop":
            raise ModelFailed(
                f"{self.load().name} did not end its decision within {MOST_DECISION_TOKENS} tokens: {text[:200]!r}"
            )
        return parse_decision(text, tools, allow_reply=allow_reply), pieces[-1].usage
