"""Products, clauses and rules as staff edit them."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from agent.server.problems import Problem, responses
from agent.server.services import Server, Services
from agent.server.staff_routes import Id, Staff
from tools.kit.errors import BadSettings, OperatorError
from tools.shop.sqlite_shop import BadRecord
from tools.shop.types import Clause, Product

router = APIRouter(prefix="/v1/staff", tags=["catalogue"])
LISTED = 100


class CatalogList(BaseModel):
    """Products and clauses whose id, title or category hold the words asked for; of many, the first ones. Prices are in `currency`."""

    currency: str
    products: list[Product]
    clauses: list[Clause]


class PolicyText(BaseModel):
    """policy.yaml; with `preview` it is only checked."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=200_000)]
    preview: bool = False


@router.get("/catalog", responses=responses(401, 422))
def catalog(server: Server, _: Staff, query: Annotated[str, Query(max_length=200)] = "") -> CatalogList:
    """Look for products and clauses."""
    words = query.casefold().split()

    def fits(*texts: str) -> bool:
        whole = " ".join(texts).casefold()
        return all(word in whole for word in words)

    products = [each for each in server.shop.products() if fits(each.id, *each.title.all(), *each.category.all())]
    clauses = [each for each in server.shop.all_clauses() if fits(each.id, each.topic, *each.title.all(), *each.text.all())]
    return CatalogList(currency=server.shop.info.currency, products=products[:LISTED], clauses=clauses[:LISTED])


@router.get("/products/{product}", responses=responses(401, 404))
def product(server: Server, _: Staff, product: Id) -> Product:
    """A product as the shop's data have it."""
    found = server.shop.product(product)
    if found is None:
        raise Problem(404, "no_such_product", "The shop has no such product.")
    return found


@router.put("/products/{product}", responses=responses(401, 409, 422))
def put_product(server: Server, _: Staff, product: Id, body: Product) -> Product:
    """Change a product, or add one; it is found at once."""
    _put(server, product, body)
    return body


@router.get("/clauses/{clause}", responses=responses(401, 404))
def clause(server: Server, _: Staff, clause: Id) -> Clause:
    """A rule or answer as the shop's data have it."""
    found = server.shop.clause(clause)
    if found is None:
        raise Problem(404, "no_such_clause", "The shop has no such rule.")
    return found


@router.put("/clauses/{clause}", responses=responses(401, 409, 422))
def put_clause(server: Server, _: Staff, clause: Id, body: Clause) -> Clause:
    """Change a rule or answer, or add one; it is quoted at once. What policy.yaml decides is decided there still."""
    _put(server, clause, body)
    return body


@router.get("/policy", responses=responses(401))
def policy(server: Server, _: Staff) -> PolicyText:
    """The rules that decide: who may return what until when, and what it costs."""
    return PolicyText(text=server.shop.policy_text())


@router.put("/policy", responses=responses(401, 422))
def put_policy(server: Server, _: Staff, body: PolicyText) -> PolicyText:
    """Change the rules that decide; they hold from the next message on. What does not fit is told with its line."""
    try:
        server.shop.replace_policy(body.text, only_check=body.preview)
    except BadSettings as error:
        raise Problem(422, "does_not_fit", str(error)) from error
    return body


def _put(server: Services, record_id: str, record: Product | Clause) -> None:
    if record.id != record_id:
        raise Problem(422, "invalid", "id: must be the one in the address.")
    try:
        server.shop.put(record)
    except BadRecord as error:
        raise Problem(422, "does_not_fit", str(error)) from error
    try:
        server.backing.reindex()
    except OperatorError as error:
        raise Problem(409, "not_indexed", f"It is kept, but not found yet: {error}") from error


def reindex(server: Services) -> None:
    """Let what was changed be found. Raises Problem 409."""
    try:
        server.backing.reindex()
    except OperatorError as error:
        raise Problem(409, "not_indexed", f"It is kept, but not found yet: {error}") from error
