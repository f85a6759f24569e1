"""What `storehand serve` does."""

import logging
import sys

from rich.console import Console

from agent.settings import Settings


def serve(settings: Settings, shop: str, err: Console) -> None:
    """Open the shop's agent and serve it until the process is asked to end."""
    from agent.resources import DEMO, open_agent
    from agent.server.app import GracefulServer, config_of, make_app
    from agent.server.observing import JsonLines
    from agent.server.services import Backing
    from tools.kit.clock import system_clock

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    # Other packages' lines may hold what customers said.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("storehand").setLevel(logging.INFO)
    # One slot of the model for each conversation that is answered at the same time, or some would wait for others to end.
    model = settings.model.model_copy(update={"conversations": settings.server.turns_at_once})
    settings = settings.model_copy(update={"model": model})
    with open_agent(settings, shop, err) as opened:
        backing = Backing(
            agent=opened.agent,
            shop=opened.shop,
            catalog=opened.catalog,
            desk=opened.desk,
            review=opened.review,
            settings=settings,
            clock=system_clock,
            reindex=opened.reindex,
            is_demo=shop == DEMO,
        )
        app = make_app(backing, opened.load_model)
        err.print(f"Storehand serves '{shop}' at http://{settings.server.host}:{settings.server.port}/ (stop it with Ctrl-C).")
        GracefulServer(config_of(app, backing)).run()
