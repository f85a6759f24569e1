"""How the chat model writes a reply from facts: what it reads, and its sentences as they come.

It knows nothing of turns, tools or shops; the same functions serve a conversation and the measurement of replies.
"""

from collections.abc import Callable, Iterator

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, AnyMessage, HumanMessage, SystemMessage

from agent.promises import Sentences
from agent.prompts import fill
from tools.shop.types import Language


def reply_messages(prefix: SystemMessage, said: str, facts: str, language: Language) -> list[AnyMessage]:
    """What the chat model reads to write a reply to `said` from `facts`, one a line.

    No earlier turns are among it: what was true of the last product would be told of this one.
    """
    return [prefix, HumanMessage(fill(f"reply.{language}.md", said=said, facts=facts))]


def written_sentences(
    model: BaseChatModel, messages: list[AnyMessage], count: Callable[[AIMessageChunk], None]
) -> Iterator[str]:
    """The model's reply, sentence by sentence; a last sentence that was cut off by a limit is dropped.

    `count` gets the whole message at its end, for its tokens. Raises ModelFailed as the model does.
    """
    sentences, whole = Sentences(), AIMessageChunk(content="")
    for chunk in model.stream(messages):
        whole += chunk
        yield from sentences.feed(chunk.text)
    count(whole)
    if whole.response_metadata.get("finish_reason") != "length" and (rest := sentences.end()):
        yield rest
