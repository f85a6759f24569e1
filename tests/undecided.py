"""A chooser that leaves every choice to the chat model, for tests of what comes after it."""

from typing import Any

from agent.chooser.evidence import Evidence
from agent.decide import TOOLS
from agent.settings import TurnSettings


class Undecided:
    """Speaks for every tool alike."""

    def look_up(self, said: str, language: str, *, before: str | None, photo: bool) -> Evidence:
        names = ["reply", *(tool.name for tool in TOOLS)]
        # Those that could read or move something stay among the allowed ones.
        last = ("recommend_products", "identify_product")
        return Evidence(dict.fromkeys(sorted(names, key=lambda name: name in last), 1 / len(names)), "unclear")


ASKED: dict[str, Any] = {"chooser": Undecided(), "settings": TurnSettings(unsure="ask_model")}
"""What an agent is made with whose chat model is always asked."""
