"""Files of JSON lines: one checked object a line."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tools.kit.errors import OperatorError

Row = TypeVar("Row", bound=BaseModel)


def read_json_lines(path: Path, form: type[Row]) -> list[Row]:
    """The objects of a file, blank lines left out. Raises OperatorError with the file, and the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"'{path}' cannot be read ({error}); name a file of JSON lines.") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                rows.append(form.model_validate_json(line))
            except ValidationError as error:
                problem = error.errors()[0]
                where = ".".join(map(str, problem["loc"])) or "the line"
                raise OperatorError(f"'{path}', line {number}: {where}: {problem['msg']}; mend it.") from error
    return rows
