"""The body model: what it is made from, for whom it holds, how far it is off."""

from pathlib import Path

import numpy as np
import pytest
from places import shared_data

from tools.sizes.body import GIRTHS, body_model, error_correlation, estimate_woman
from tools.sizes.fit import CHOSEN, FORMS, fit, folds_of, held_out, read_people


def test_the_model_says_where_it_comes_from_and_for_whom_it_holds() -> None:
    model = body_model()
    assert "ANSUR" in model.source
    assert "public domain" in model.licence
    assert "women" in model.population
    assert model.people == 983


def test_more_weight_at_the_same_height_is_more_of_every_girth() -> None:
    light, heavy = estimate_woman(1650, 55_000), estimate_woman(1650, 75_000)
    assert light
    assert heavy
    assert all(light[girth].mm < heavy[girth].mm for girth in GIRTHS)
    assert all(light[girth].sd_mm < heavy[girth].sd_mm for girth in GIRTHS)


@pytest.mark.parametrize(
    ("height", "weight"), [(1400, 50_000), (1900, 70_000), (1650, 38_000), (1650, 125_000), (1500, 110_000)]
)
def test_outside_the_women_it_was_fitted_on_there_is_no_estimate(height: int, weight: int) -> None:
    assert estimate_woman(height, weight) is None


def test_an_estimate_comes_with_a_range() -> None:
    estimates = estimate_woman(1650, 60_000)
    assert estimates
    for each in estimates.values():
        low, high = each.interval_80
        assert 50 < high - low < 200
        assert low < each.mm < high


def test_errors_go_together_the_same_way_round() -> None:
    assert error_correlation("chest", "waist") == error_correlation("waist", "chest") > 0.3
    assert error_correlation("hips", "hips") == 1


def test_a_file_without_a_column_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("stature,weightkg\n1650,600\n")
    with pytest.raises(ValueError, match="chestcircumference"):
        read_people(path)


def test_the_shipped_model_is_what_the_fit_makes_of_its_file() -> None:
    people = read_people(shared_data("ansur2_female") / "measurements_dev.csv")
    made, shipped = fit(people), body_model()
    for spoken, girths in shipped.girths.items():
        for girth, each in girths.items():
            # Another machine's arithmetic may differ in the last digit.
            assert made.girths[spoken][girth].model_dump() == pytest.approx(each.model_dump(), rel=1e-3, abs=1e-2)
    unfitted = {"girths", "error_correlation"}
    assert made.model_dump(exclude=unfitted) == shipped.model_dump(exclude=unfitted)


def test_the_chosen_form_is_as_good_as_any_with_people_it_never_saw() -> None:
    people = read_people(shared_data("ansur2_female") / "measurements_dev.csv")
    height, weight = people.height["stated"], people.weight["stated"]
    for truth in people.girths.values():
        errors = {form: np.abs(truth - held_out(form, height, weight, truth)).mean() for form in FORMS}
        assert errors[CHOSEN] < 1.02 * min(errors.values())


def test_folds_are_the_same_every_time_and_even() -> None:
    assert (folds_of(100) == folds_of(100)).all()
    assert set(np.bincount(folds_of(100))) == {10}
