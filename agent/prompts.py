"""What the chat model reads: the templates of prompts/*.md, filled. A blank left unfilled is an error."""

from collections.abc import Sequence
from functools import cache
from string import Template
from typing import Any

from langchain_core.tools import BaseTool

from tools.kit.errors import BadSettings
from tools.kit.phrases import PROMPTS


@cache
def _template(name: str) -> Template:
    return Template((PROMPTS / name).read_text(encoding="utf-8"))


def fill(name: str, **values: str) -> str:
    """The text of prompts/`name` with its blanks filled. Raises BadSettings naming the file and the blank."""
    try:
        return _template(name).substitute(values).strip()
    except (KeyError, ValueError, OSError) as error:
        raise BadSettings(f"prompts/{name}: {error!r}; mend the template.") from error


def _line(tool: BaseTool) -> str:
    arguments: dict[str, Any] = tool.args
    described = ", ".join(f"{name}: {schema.get('description', '')}" for name, schema in arguments.items())
    return f"- {tool.name}({described}): {tool.description}"


def static_prefix(shop_name: str, tools: Sequence[BaseTool]) -> str:
    """Role, tools and rules: the same for every session, so that a model evaluates it once."""
    return fill("role.md", shop=shop_name, tools="\n".join(_line(tool) for tool in tools))
