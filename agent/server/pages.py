"""The pages: a demo page with the widget on it, the widget itself, the staff console."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel

from agent.server.observing import PAGE_CSP
from agent.server.problems import Problem, responses
from agent.server.services import Server
from tools.shop.types import LocalText, format_money

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).resolve().parent / "static"
MOST_IN_WINDOW = 12
PAGES = Path(__file__).resolve().parent / "demo"
_ANYWHERE = {"Cross-Origin-Resource-Policy": "cross-origin", "Access-Control-Allow-Origin": "*"}
"""For what other sites' pages load."""


class DemoCustomer(BaseModel):
    """A customer whom a visitor of the demo may be."""

    id: str
    name: str
    jwt: str


class DemoProduct(BaseModel):
    """A product as the demo page shows it."""

    id: str
    title: LocalText
    price: str
    picture: str


class DemoWindow(BaseModel):
    """The demo shop's name and what it shows."""

    shop: LocalText
    products: list[DemoProduct]


@router.get("/")
def demo_page() -> FileResponse:
    """A page of the shop with the widget on it."""
    return _file(PAGES / "index.html")


@router.get("/demo/{name}")
def demo_file(name: Annotated[str, InPath(pattern=r"^demo\.(js|css)$")]) -> FileResponse:
    """What the demo page loads."""
    return _file(PAGES / name)


@router.get("/demo-customers")
def demo_customers(server: Server) -> list[DemoCustomer]:
    """The demo shop's invented customers, each with an identity as the shop's back end would sign it; of a real shop, nobody."""
    if not server.backing.is_demo:
        return []
    now = server.clock()
    return [
        DemoCustomer(id=each.id, name=each.name, jwt=server.identities.jwt_of(each.id, now)) for each in server.shop.customers()
    ][:20]


@router.get("/demo-products")
def demo_products(server: Server) -> DemoWindow:
    """What lies in the demo shop's window: one product of each category; of a real shop, nothing."""
    shop = server.shop
    shown: dict[str, DemoProduct] = {}
    for product in shop.products() if server.backing.is_demo else ():
        cents = min((each.price_cents for each in product.variants if each.price_cents is not None), default=None)
        if product.pictures and cents is not None:
            price = format_money(cents, shop.info.currency)
            found = DemoProduct(
                id=product.id, title=product.title, price=price, picture=f"/pictures/{quote(product.pictures[0])}"
            )
            shown.setdefault(product.category.in_language("en"), found)
    return DemoWindow(shop=shop.info.name, products=list(shown.values())[:MOST_IN_WINDOW])


@router.get("/widget.js")
def widget() -> FileResponse:
    """The custom element."""
    return _file(STATIC / "widget.js", _ANYWHERE)


@router.get("/widget-live.js")
def widget_live() -> FileResponse:
    """What the custom element loads when somebody speaks or listens."""
    return _file(STATIC / "widget-live.js", _ANYWHERE)


@router.get("/widget-microphone.js")
def widget_microphone() -> FileResponse:
    """What runs in the browser's audio thread."""
    return _file(STATIC / "widget-microphone.js", _ANYWHERE)


@router.get("/console")
def console_without_slash() -> Response:
    """The console's own address ends with a slash: its files are named from there."""
    return Response(status_code=308, headers={"Location": "/console/"})


@router.get("/console/{name:path}", responses=responses(404))
def console(name: str) -> FileResponse:
    """The staff console's files."""
    return _file(STATIC / "console" / (name or "index.html"))


def _file(file: Path, headers: dict[str, str] | None = None) -> FileResponse:
    resolved = file.resolve()
    if not resolved.is_relative_to(STATIC) and not resolved.is_relative_to(PAGES):
        raise Problem(404, "not_found", "There is nothing here.")
    if not resolved.is_file():
        raise Problem(404, "not_built", f"'{file.name}' is not there; the front end was not built into agent/server/static/.")
    return FileResponse(resolved, headers={"Content-Security-Policy": PAGE_CSP, "Cache-Control": "no-cache", **(headers or {})})
