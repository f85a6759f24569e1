"""What anybody may read of the shop: a clause, a picture."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from agent.server.problems import Problem, responses
from agent.server.services import Server
from tools.shop.types import Language

router = APIRouter(tags=["shop"])


class ClauseShown(BaseModel):
    """A rule or answer in words; `from` is the day since which it holds."""

    id: str
    title: str
    text: str
    from_: Annotated[str | None, Field(alias="from")] = None


@router.get("/v1/clauses/{clause_id}", responses=responses(404, 422))
def clause(server: Server, clause_id: Annotated[str, Path(max_length=100)], language: Language = "en") -> ClauseShown:
    """A clause in a language, or in the one there is."""
    found = server.shop.clause(clause_id)
    if found is None:
        raise Problem(404, "no_such_clause", "The shop has no such rule.")
    since = found.effective_from.isoformat() if found.effective_from else None
    return ClauseShown.model_validate(
        {"id": found.id, "title": found.title.in_language(language), "text": found.text.in_language(language), "from": since}
    )


@router.get(
    "/pictures/{name:path}",
    response_class=FileResponse,
    responses={200: {"content": {"image/*": {}}, "description": "The picture."}, **responses(404)},
)
def picture(server: Server, name: Annotated[str, Path(max_length=200)]) -> FileResponse:
    """A product's picture."""
    try:
        file = server.shop.picture(name)
    except (FileNotFoundError, OSError, ValueError) as error:
        raise Problem(404, "no_such_picture", "The shop has no such picture.") from error
    headers = {"Cache-Control": "public, max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"}
    return FileResponse(file, headers=headers)
