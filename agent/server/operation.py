"""For whoever runs the server: is it alive, is it ready, its counters."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from agent.server.services import Server, Services

router = APIRouter(tags=["operation"])


class Ready(BaseModel):
    """Which parts can work."""

    model: bool
    index: bool
    databases: bool


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"model": Ready, "description": "Not everything is ready."}})
def readyz(server: Server, response: Response) -> Ready:
    """The chat model is loaded, the index is up to date, the databases can be read."""
    ready = Ready(model=server.is_ready, index=_index_works(server), databases=_databases_work(server))
    if not (ready.model and ready.index and ready.databases) or server.is_closing:
        response.status_code = 503
    return ready


def _index_works(server: Services) -> bool:
    try:
        return not server.backing.catalog.is_stale
    except Exception:  # noqa: BLE001 (whatever is wrong with it, it is not ready)
        return False


def _databases_work(server: Services) -> bool:
    try:
        server.store.open_runs()
        server.desk.state("-")
        return server.shop.info is not None
    except Exception:  # noqa: BLE001
        return False


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Counters."}},
)
def metrics(server: Server) -> Response:
    """Counters for Prometheus."""
    return Response(server.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
