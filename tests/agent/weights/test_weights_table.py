import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

import agent.weights.table
from agent.weights.table import IndexSource, WeightTable, default_models


@pytest.fixture
def raw() -> dict[str, Any]:
    text = Path(agent.weights.table.__file__).with_name("models.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return copy.deepcopy(data)


def test_the_table_names_the_default_models() -> None:
    assert {"qwen2.5-coder-1.5b", "whisper-base", "e5-small", "efficientnet-lite2"} <= default_models().keys()


@pytest.mark.parametrize("name", default_models())
def test_every_model_states_licence_sizes_checksums_and_a_source(name: str) -> None:
    model = default_models()[name]
    assert model.licence in {"Apache-2.0", "MIT"}
    assert all(file.bytes > 0 and len(file.sha256) == 64 for file in model.files)
    assert any(isinstance(source, IndexSource) for source in model.sources)


def test_a_table_with_a_missing_part_is_refused(raw: dict[str, Any]) -> None:
    raw["models"]["whisper-base"]["sources"][0]["wheels"].pop()
    with pytest.raises(ValidationError, match="members join to"):
        WeightTable.model_validate(raw)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", ".hidden", "a/b", ""])
def test_a_table_whose_file_would_leave_its_folder_is_refused(raw: dict[str, Any], name: str) -> None:
    raw["models"]["e5-small"]["files"][0]["name"] = name
    raw["models"]["e5-small"]["sources"][0]["wheels"][0]["members"][0]["file"] = name
    with pytest.raises(ValidationError, match="pattern"):
        WeightTable.model_validate(raw)


def test_a_table_with_an_unknown_key_is_refused(raw: dict[str, Any]) -> None:
    raw["models"]["e5-small"]["files"][0]["md5"] = "0" * 32
    with pytest.raises(ValidationError, match="md5"):
        WeightTable.model_validate(raw)


def test_a_table_with_a_short_checksum_is_refused(raw: dict[str, Any]) -> None:
    raw["models"]["e5-small"]["files"][0]["sha256"] = "abc"
    with pytest.raises(ValidationError, match="sha256"):
        WeightTable.model_validate(raw)
