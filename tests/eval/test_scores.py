"""Rates over repeated plays, checked against values worked out by hand."""

import pytest

from eval.scores import paired, pass_hat


def test_pass_hat_is_the_chance_that_k_plays_all_succeed() -> None:
    plays = [[True, True, True, True], [True, True, False, False], [False] * 4]
    assert [round(rate.value, 4) for k in (1, 2, 3, 4) if (rate := pass_hat(plays, k))] == [
        round((1 + 2 / 4 + 0) / 3, 4),
        round((1 + 1 / 6 + 0) / 3, 4),
        round(1 / 3, 4),
        round(1 / 3, 4),
    ]


def test_scenarios_played_too_seldom_do_not_count() -> None:
    assert pass_hat([[True]], 2) is None
    assert (rate := pass_hat([[True], [True, False]], 2)) is not None
    assert (rate.value, rate.scenarios) == (0, 1)


def test_the_interval_holds_the_rate_and_narrows_with_more_scenarios() -> None:
    few, many = pass_hat([[True]] * 9 + [[False]], 1), pass_hat([[True]] * 900 + [[False]] * 100, 1)
    assert few
    assert many
    assert few.low < 0.6 < 0.9 < few.high
    # Wilson, 900 of 1,000.
    assert (round(many.low, 3), round(many.high, 3)) == (0.880, 0.917)
    perfect = pass_hat([[True]] * 20, 1)
    assert perfect
    assert (perfect.high, round(perfect.low, 3)) == (1.0, 0.839)


@pytest.mark.parametrize(("lost", "won", "p"), [(0, 0, 1.0), (0, 6, 0.03125), (3, 3, 1.0), (1, 9, 0.021484375)])
def test_mcnemar_looks_only_at_scenarios_that_differ(lost: int, won: int, p: float) -> None:
    found = paired([(True, True)] * 50 + [(True, False)] * lost + [(False, True)] * won + [(False, False)] * 3)
    assert (found.both, found.lost, found.won, found.neither) == (50, lost, won, 3)
    assert found.p == pytest.approx(p)
