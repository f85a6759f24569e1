"""The server: routes put together, started and ended in order."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from agent.server import (
    catalog_routes,
    customers,
    import_routes,
    live,
    office_routes,
    openai_routes,
    operation,
    pages,
    shop_routes,
    speech_routes,
    staff_routes,
)
from agent.server.live import MOST_FRAME_BYTES
from agent.server.observing import Watchful
from agent.server.privacy import forget_old
from agent.server.problems import add_error_answers, responses
from agent.server.services import Backing, Services, count_request
from agent.server.tracing import telemetry

log = logging.getLogger("storehand.server")
MOST_BODY_BYTES = 256_000
"""Of anything but an upload."""
SWEEP_SECONDS = 600
KEEP_ALIVE_SECONDS = 75
"""Longer than proxies keep an idle connection: who closes it first may lose the request that comes at that moment."""


def make_app(backing: Backing, load_model: Callable[[], None] = lambda: None) -> FastAPI:
    """The server over an agent. `load_model` is run beside the first requests; until it ends the server is not ready."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = Services(backing)
        app.state.services = services
        await asyncio.to_thread(services.runs.fail_left_over)
        threading.Thread(target=_load, args=(services, load_model), daemon=True).start()
        tasks = [asyncio.create_task(services.watch.run()), asyncio.create_task(_sweep(services))]
        yield
        await close(services)
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        services.store.close()

    app = FastAPI(
        title="Storehand",
        description="A customer-service agent for online shops.",
        version="1",
        lifespan=lifespan,
        max_body_size=MOST_BODY_BYTES,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        telemetry=telemetry(),
    )
    add_error_answers(app)
    routed = (customers, openai_routes, speech_routes, shop_routes, staff_routes, office_routes, catalog_routes, import_routes)
    for module in routed:
        app.include_router(module.router, dependencies=[Depends(count_request)], responses=responses(400, 413, 422, 429))
    for module in (operation, pages, live):
        app.include_router(module.router)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(backing.settings.server.origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
        expose_headers=["Retry-After"],
        allow_credentials=False,
    )
    app.add_middleware(Watchful)
    return app


async def close(services: Services) -> None:
    """End the streams that stay open, and every answer under way."""
    services.is_closing = True
    services.watch.signal.notify()
    await asyncio.to_thread(services.runs.close)


class GracefulServer(uvicorn.Server):
    """Ends answers before connections: who reads one reads its end."""

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Called once, when the process is asked to end."""
        app = self.config.app
        if isinstance(app, FastAPI) and hasattr(app.state, "services"):
            await close(app.state.services)
        await super().shutdown(sockets)  # type: ignore[arg-type]


def config_of(app: FastAPI, backing: Backing) -> uvicorn.Config:
    """How uvicorn runs the app."""
    settings = backing.settings.server
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        server_header=False,
        ws_max_size=MOST_FRAME_BYTES,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=10,
    )


def _load(services: Services, load_model: Callable[[], None]) -> None:
    try:
        load_model()
        services.is_ready = True
    except Exception as error:
        log.exception("the chat model could not be loaded", exc_info=error)


async def _sweep(services: Services) -> None:
    while True:
        try:
            await asyncio.to_thread(services.uploads.sweep, services.clock())
            await asyncio.to_thread(forget_old, services)
        except Exception as error:
            # The next time may work; without a next time nothing would ever be forgotten again.
            log.exception("old uploads and conversations could not be forgotten", exc_info=error)
        await asyncio.sleep(SWEEP_SECONDS)
