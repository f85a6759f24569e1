"""The size benchmark: measured people in, honest figures out."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import shared_data
from typer.testing import CliRunner

from eval import bench
from eval.size_choices import advise, chart_of_women, measure_sizes, persons_of, right_size
from tools.kit.errors import OperatorError
from tools.shop.types import SizeChart
from tools.sizes.body import GIRTHS, body_model
from tools.sizes.fit import COLUMNS, read_people

DEMO = Path(bench.PROJECT) / "tools" / "shop" / "demo"
CHARTS = [SizeChart.model_validate_json(line) for line in (DEMO / "size_charts.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Sixty made women whose girths are what the model expects, give or take."""
    random = np.random.default_rng(1)
    path = tmp_path / "people.csv"
    with path.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["stature", "weightkg", *COLUMNS.values(), "Heightin", "Weightlbs"])
        for _ in range(60):
            height, weight = random.normal(1640, 50), random.normal(66, 9)
            column = (weight / height * 1000) ** 0.5
            models = body_model().girths["measured"]
            girths = [
                (each.constant + each.height * height / 1000 + each.column * column) * random.normal(1, each.error_share)
                for each in (models[girth] for girth in GIRTHS)
            ]
            writer.writerow(
                [round(height), round(weight * 10), *(round(mm) for mm in girths), round(height / 25.4), round(weight / 0.4536)]
            )
    return path


def run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(bench.app, ["size", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    loaded: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return loaded


def test_bench_size_prints_one_json_object_as_its_last_line(file: Path) -> None:
    result = run("--measurements", str(file), "--json")
    assert result["people"] == 60
    assert 0 <= result["size_exact"] <= result["size_within_one"] <= 1
    assert set(result["mean_error_mm"]) == set(result["interval_80_holds"]) == set(GIRTHS)
    assert set(result["shipped_model"]) == {"stated", "measured"}
    assert set(result["baselines"]) == {"commonest_size", "nearest_by_bmi"}


def test_unseen_people_are_judged_by_the_shipped_model(file: Path) -> None:
    result = run("--measurements", str(file), "--json")
    assert result["model_fitted_on_this_file"] is False
    assert "held_out" not in result
    assert result["size_exact"] == result["shipped_model"]["stated"]["size_exact"]


def test_bench_size_draws_a_table_for_people(file: Path) -> None:
    result = CliRunner().invoke(bench.app, ["size", "--measurements", str(file)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "stated" in result.output


def test_the_women_it_was_fitted_on_are_judged_by_models_that_never_saw_them() -> None:
    result = measure_sizes(shared_data("ansur2_female") / "measurements_dev.csv", CHARTS)
    assert result["model_fitted_on_this_file"] is True
    assert result["size_exact"] == result["held_out"]["stated"]["size_exact"]
    for baseline in result["baselines"].values():
        assert result["size_exact"] > baseline["size_exact"] + 0.1
    assert result["size_within_one"] > 0.97
    assert all(0.77 < share < 0.85 for share in result["interval_80_holds"].values())
    assert all(error < 45 for error in result["mean_error_mm"].values())


def test_who_says_fairly_sure_is_right_about_three_times_in_four() -> None:
    result = measure_sizes(shared_data("ansur2_female") / "measurements_dev.csv", CHARTS)["held_out"]["measured"]
    assert result["said_fairly_sure"] > 0.3
    assert result["size_exact_where_fairly_sure"] > 0.75


def test_who_is_outside_the_model_is_not_advised_and_counts_as_wrong(file: Path) -> None:
    chart = chart_of_women(CHARTS)
    person = persons_of(read_people(file))[0]
    tall = type(person)(person.girths, {"stated": 2000, "measured": 2000}, person.weight_g)
    assert advise(chart, tall, "stated", body_model()).advised is None
    assert right_size(chart, tall, body_model()) == right_size(chart, person, body_model())


def test_a_shop_without_a_womens_chart_or_a_file_without_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="women"):
        chart_of_women([chart for chart in CHARTS if chart.audience == "men"])
    empty = tmp_path / "empty.csv"
    empty.write_text("a,b\n1,2\n")
    with pytest.raises(OperatorError, match="stature"):
        measure_sizes(empty, CHARTS)
