"""Replies read aloud: the front end sends a sentence as soon as it stands and plays it while the next is written."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from agent.server.problems import Problem, responses
from agent.server.services import Customer, Server
from tools.kit.errors import VoiceUnavailable
from tools.shop.types import Language
from tools.speech.spoken import spoken

router = APIRouter(prefix="/v1", tags=["customer"])

SENTENCES_A_MINUTE = 60


class Sentence(BaseModel):
    """What is to be read aloud."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=600)]
    language: Language


@router.post(
    "/speech",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {}}, "description": "A WAV file."}, 204: {}, **responses(401, 422, 429, 503)},
)
def read_aloud(server: Server, visitor: Customer, body: Sentence) -> Response:
    """One sentence of a reply as sound, prices and order numbers as a person says them; 204 where nothing in it can be said."""
    server.limits.count("speech", visitor.conversation, SENTENCES_A_MINUTE)
    words = spoken(body.text, body.language)
    if not any(character.isalnum() for character in words):
        return Response(status_code=204)
    try:
        sound = server.voice.say(words, body.language)
    except VoiceUnavailable as error:
        raise Problem(503, "no_voice", f"Replies cannot be read aloud: {error}") from error
    return Response(sound, media_type="audio/wav", headers={"Cache-Control": "no-store"})
