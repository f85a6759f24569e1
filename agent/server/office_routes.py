"""What staff do beside conversations: label sentences, export and erase customers."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from agent.labels import LABELS, BadLabel
from agent.review import Entry, NoEntry
from agent.server.privacy import erase, export_of
from agent.server.problems import Problem, responses
from agent.server.services import Server
from agent.server.staff_routes import Id, Staff

router = APIRouter(prefix="/v1/staff", tags=["staff"])


class Label(BaseModel):
    """A sentence's right tools, "reply" for none; or `drop`, for one that is not worth a label."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[int, Field(ge=1, le=2**53)]
    label: Annotated[str | list[str], Field(max_length=200)]


class Receipt(BaseModel):
    """What was erased: how many of each."""

    receipt: str
    at: str
    erased: dict[str, int]
    hold_nothing: Annotated[list[str], Field(alias="holdNothing")]
    """Where nothing of a customer is ever kept."""


@router.get("/review", responses=responses(401))
def review(server: Server, _: Staff) -> list[Entry]:
    """Sentences whose label is worth most, the most informative first."""
    return server.backing.review.entries(server.clock())


@router.post("/review", status_code=204, responses=responses(401, 404))
def label(server: Server, _: Staff, body: Label) -> None:
    """Label a sentence, or drop it ("drop")."""
    try:
        if body.label == "drop":
            server.backing.review.drop(body.id)
        else:
            tools = [body.label] if isinstance(body.label, str) else body.label
            server.backing.review.label(body.id, tools, server.backing.settings.data_dir / LABELS)
    except NoEntry as error:
        raise Problem(404, "no_such_sentence", "This sentence is not on the list (any more).") from error
    except BadLabel as error:
        raise Problem(422, "bad_label", str(error)) from error


@router.get("/customers/{customer}/export", responses=responses(401, 404))
def export_customer(server: Server, _: Staff, customer: Id) -> dict[str, Any]:
    """All that is kept of a customer."""
    return export_of(server, customer)


@router.delete("/customers/{customer}", responses=responses(401, 404, 409))
def erase_customer(server: Server, staff: Staff, customer: Id) -> Receipt:
    """Delete all conversations of a customer, with what was sent and thought in them; a receipt says what."""
    return Receipt.model_validate(erase(server, customer, staff))
