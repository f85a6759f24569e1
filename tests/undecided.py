"""Examples that leave every choice to the chat model, for tests of what comes after it."""

from typing import Any

from agent.decide import TOOLS


class Undecided:
    """Speaks for every tool alike: the chat model is asked."""

    def look_up(self, said: str, language: str, *, before: str | None, photo: bool) -> tuple[list[Any], dict[str, float]]:
        names = ["reply", *(tool.name for tool in TOOLS)]
        # Those that could read or move something stay among the allowed ones.
        return [], dict.fromkeys(
            sorted(names, key=lambda name: name in ("recommend_products", "identify_product")), 1 / len(names)
        )
