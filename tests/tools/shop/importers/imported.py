"""What an import of a small feed came to, as the fixture `importing` gives it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tools.shop.importers import ImportReport
from tools.shop.types import Clause, Product

SHOP_YAML = "name: {en: Corner shop}\ncurrency: EUR\ntimezone: Europe/Berlin\n"


class Imported(NamedTuple):
    """What an import reported and made."""

    report: ImportReport
    products: dict[str, Product]
    clauses: dict[str, Clause]
    folder: Path

    def rejected(self) -> list[str]:
        return [f"{row.where}: {row.reason}" for row in self.report.rejected]

    def notes(self) -> list[str]:
        return [f"{note.where}: {note.text}" for note in self.report.notes]


Importing = Callable[..., Imported]
