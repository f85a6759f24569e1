"""Do customers' photos find their product? Photos labelled with their class in, top-1 and top-5 out."""

import csv
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from tools.catalog.catalog import Catalog
from tools.kit.errors import OperatorError

NEAREST = 5


def read_labelled_photos(folder: Path, listed: Path, limit: int | None = None) -> list[tuple[Path, str]]:
    """The photos of a Grocery Store Dataset list and the names of their classes; `limit` takes that many, spread over the list.

    A line is "path below the folder, number of the class, …"; classes.csv in the folder names the classes. Raises
    OperatorError with the line that is wrong.
    """
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        names = {row["Class ID (int)"]: row["Class Name (str)"] for row in csv.DictReader(file)}
    photos: list[tuple[Path, str]] = []
    for number, line in enumerate(listed.read_text(encoding="utf-8").splitlines(), start=1):
        path, *labels = (part.strip() for part in line.split(","))
        if not labels or labels[0] not in names or not (folder / path).is_file():
            raise OperatorError(
                f"'{listed}', line {number}: {line!r} names no photo in '{folder}' or no class of its classes.csv."
            )
        photos.append((folder / path, names[labels[0]]))
    if limit is not None and limit < len(photos):
        # The list goes class by class: its first part would be apples only.
        photos = [photos[place * len(photos) // limit] for place in range(limit)]
    return photos


def measure_photos(catalog: Catalog, photos: Iterable[tuple[Path, str]]) -> dict[str, Any]:
    """Look for each photo's product among the catalogue's pictures: the share found first, and among the first five."""
    places: list[int | None] = []
    seconds: list[float] = []
    for path, product_id in photos:
        with Image.open(path) as photo:
            began = time.perf_counter()
            found = [hit.id for hit in catalog.identify(photo, NEAREST)]
            seconds.append(time.perf_counter() - began)
        places.append(found.index(product_id) if product_id in found else None)
    if not places:
        raise OperatorError("the list names no photos.")
    return {
        "nearest_picture": {
            "top1": sum(place == 0 for place in places) / len(places),
            "top5": sum(place is not None for place in places) / len(places),
        },
        "photos": len(places),
        "seconds_median": statistics.median(seconds),
    }
