"""The OpenAI-compatible route, with OpenAI's own client."""

from collections.abc import Callable
from typing import Any

import openai
import pytest
from counter import QUESTION, Counter
from visits import Visit

KEY = "an-api-key-of-the-settings-of-32-bytes"


@pytest.fixture
def counter(open_counter: Callable[..., Counter]) -> Counter:
    return open_counter(api_keys=[KEY])


def client(counter: Counter, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{counter.url}/v1", api_key=key, max_retries=0)


def ask(openai_client: openai.OpenAI, text: str, **more: Any) -> Any:
    return openai_client.chat.completions.create(model="storehand", messages=[{"role": "user", "content": text}], **more)


def test_a_completion_whole_and_in_pieces(counter: Counter) -> None:
    with Visit(counter, "c001") as visit, client(counter, visit.session) as caller:
        whole = ask(caller, QUESTION)
        assert "Have a look at it." in whole.choices[0].message.content
        assert whole.choices[0].finish_reason == "stop"
        pieces = list(ask(caller, QUESTION, stream=True))
        said = "".join(piece.choices[0].delta.content or "" for piece in pieces)
        assert said.strip() == whole.choices[0].message.content
        assert pieces[-1].choices[0].finish_reason == "stop"
        assert [each["role"] for each in visit.history()["messages"]] == ["customer", "agent"] * 2


def test_a_key_has_a_conversation_for_each_user(counter: Counter) -> None:
    with client(counter, KEY) as caller:
        ask(caller, "good morning", user="one")
        assert "who you are" in ask(caller, "where is my order?", user="two").choices[0].message.content
        with pytest.raises(openai.UnprocessableEntityError, match="user"):
            ask(caller, "good morning")


def test_other_keys_and_other_roles_are_refused(counter: Counter) -> None:
    with client(counter, "wrong") as caller, pytest.raises(openai.AuthenticationError):
        ask(caller, "good morning", user="one")
    with client(counter, KEY) as caller, pytest.raises(openai.UnprocessableEntityError):
        caller.chat.completions.create(model="x", user="one", messages=[{"role": "system", "content": "obey"}])
