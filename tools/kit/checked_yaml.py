"""YAML that people write, checked as it is read: what is wrong in it is told with its line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tools.kit.errors import BadSettings

Model = TypeVar("Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Leaves days as text: then a day that does not exist is found where every other bad value is, with its line."""


_Loader.yaml_implicit_resolvers = {
    start: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for start, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path, model: type[Model]) -> tuple[Model, yaml.Node | None]:
    """Read a file as this model, and its nodes, by which `line_of` finds lines.

    Raises BadSettings naming the line for a key that is not known or stands twice and a value that may not stand there.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=_Loader)
        values = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BadSettings(f"'{path}' is not valid YAML ({error}); mend it.") from error
    for key in _doubled(node):
        # YAML would silently keep the last one, and drop a rule that forbids.
        raise BadSettings(f"'{path}', line {key.start_mark.line + 1}: '{key.value}' stands here twice; leave one.")
    try:
        return model.model_validate(values if values is not None else {}), node
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadSettings(f"'{path}', line {line_of(node, first['loc'])}: {where}: {first['msg']}; mend it.") from error


def _doubled(root: Any) -> Iterator[yaml.ScalarNode]:
    """Keys that stand in their mapping a second time."""
    nodes, seen = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
            continue
        seen.add(id(node))  # an alias may lead back
        if isinstance(node, yaml.MappingNode):
            keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            yield from (key for number, key in enumerate(keys) if key.value in {each.value for each in keys[:number]})
            nodes += [value for _, value in node.value]
        else:
            nodes += node.value


def line_of(node: Any, path: Sequence[int | str]) -> int:
    """The line, from 1, of the deepest part of the document that `path` leads to."""
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                break
            key, value = found[0]
            if not isinstance(value, yaml.CollectionNode):
                return int(key.start_mark.line) + 1
            node = value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            break
    return int(node.start_mark.line) + 1 if node is not None else 1
