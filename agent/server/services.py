"""What the routes share: everything that one server is made of, and who sends a request."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from agent.handover import HandoverDesk
from agent.review import ReviewList
from agent.server.accounts import ACCOUNTS, Accounts
from agent.server.cards import Cards
from agent.server.identity import Identities, Visitor
from agent.server.limits import Limits
from agent.server.metrics import Metrics
from agent.server.problems import Problem
from agent.server.runs import Runs
from agent.server.signals import Signal
from agent.server.store import STORE, Store
from agent.server.uploads import Uploads
from agent.server.watch import Watch
from agent.settings import Settings
from agent.turn import Agent
from tools.catalog.catalog import Catalog
from tools.kit.clock import Clock
from tools.shop.sqlite_shop import SqliteShop
from tools.speech.voice import EspeakVoice, Voice

SPEAKERS_AT_ONCE = 4
"""Of live speech, in the whole server."""


@dataclass(frozen=True)
class Backing:
    """What a server is made from. `reindex` is called after a product or clause was changed.

    `is_demo` lets anybody be one of the shop's customers, who are invented.
    """

    agent: Agent
    shop: SqliteShop
    catalog: Catalog
    desk: HandoverDesk
    review: ReviewList
    settings: Settings
    clock: Clock
    reindex: Callable[[], object]
    is_demo: bool = False


class Services:
    """One running server. Made on its event loop."""

    def __init__(self, backing: Backing) -> None:
        loop = asyncio.get_running_loop()
        settings, folder = backing.settings.server, backing.settings.data_dir
        self.backing, self.settings, self.shop, self.agent = backing, settings, backing.shop, backing.agent
        self.desk, self.clock = backing.desk, backing.clock
        self.store = Store(folder / STORE)
        self.identities = Identities(settings, folder / "secrets")
        self.accounts = Accounts(folder / ACCOUNTS)
        self.limits, self.metrics = Limits(), Metrics()
        self.uploads = Uploads(folder / "uploads", self.store, settings.upload_hours)
        self.cards = Cards(self.shop, backing.catalog, self.clock, settings.product_url)
        self.watch = Watch(self.desk, Signal(loop))
        self.runs = Runs(
            self.agent,
            self.store,
            self.desk,
            self.cards,
            settings,
            self.clock,
            self.metrics,
            lambda: Signal(loop),
            self.watch.said,
        )
        self.live, self.reading = asyncio.Semaphore(SPEAKERS_AT_ONCE), asyncio.Lock()
        """Who may speak, and who may read what was spoken: one reading takes all cores."""
        self.voice: Voice = EspeakVoice()
        self.is_ready = False
        self.is_closing = False

    def named(self, customer_id: str | None) -> dict[str, str | None] | None:
        """A customer as staff are shown them: id and name; None for a visitor."""
        if not customer_id:
            return None
        customer = self.shop.customer(customer_id)
        return {"id": customer_id, "name": customer.name if customer else None}


def services_of(request: Request) -> Services:
    """The server that answers."""
    return cast(Services, request.app.state.services)


Server = Annotated[Services, Depends(services_of)]
_session = HTTPBearer(auto_error=False, scheme_name="session", description="The session of POST /v1/session.")


def bearer(credentials: HTTPAuthorizationCredentials | None) -> str:
    """The token of an Authorization header. Raises Problem 401 without one."""
    if credentials is None:
        raise Problem(401, "unauthorized", "Please open the chat again.")
    return credentials.credentials


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else "unknown"


def count_request(server: Server, request: Request) -> None:
    """Count a request of this address. Raises Problem 429."""
    server.limits.count("request", address_of(request), server.settings.requests_a_minute)


def visitor_of(server: Server, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_session)]) -> Visitor:
    """Whom the request's session is of. Raises Problem 401 for none, a forged one, or one of a conversation that is gone."""
    return visitor_of_token(server, bearer(credentials))


def visitor_of_token(server: Services, token: str) -> Visitor:
    """Whom a session's token is of. Raises Problem 401."""
    visitor = server.identities.visitor(token, server.clock())
    conversation = server.store.conversation(visitor.conversation)
    # Who was a visitor before the sign-in may not read what was said after it.
    if conversation is None or conversation.customer_id != visitor.customer:
        raise Problem(401, "unauthorized", "This chat has ended; please open it again.")
    return visitor


Customer = Annotated[Visitor, Depends(visitor_of)]
