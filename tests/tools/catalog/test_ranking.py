import numpy as np
import pytest

from tools.catalog.index import Hit
from tools.catalog.ranking import fused, reranked, with_feedback


def ids(hits: list[Hit]) -> list[str]:
    return [hit.id for hit in hits]


def test_what_both_lists_find_comes_before_what_one_finds() -> None:
    assert ids(fused([Hit("a", 0.9), Hit("both", 0.8)], [Hit("b", 9.0), Hit("both", 8.0)]))[0] == "both"


def test_feedback_moves_the_query_towards_what_was_found_first() -> None:
    query, found = np.array([1, 0], dtype=np.float32), np.array([0, 1], dtype=np.float32)
    moved = with_feedback(query, [found, found])
    assert moved @ found > query @ found
    assert moved @ query > moved @ found
    assert np.linalg.norm(moved) == pytest.approx(1)
    assert with_feedback(query, []) is query


def test_words_decide_between_products_that_are_equally_near() -> None:
    near = [Hit("a", 0.9), Hit("b", 0.9)]
    assert ids(reranked(near, [Hit("b", 5.0)], [], {})) == ["b", "a"]


def test_a_photo_decides_between_products_that_the_words_fit_equally() -> None:
    near = [Hit("a", 0.9), Hit("b", 0.9), Hit("c", 0.5)]
    assert ids(reranked(near, [], [Hit("b", 0.8), Hit("a", 0.3)], {})) == ["b", "a", "c"]


def test_what_words_alone_found_is_as_far_as_the_farthest() -> None:
    (first, second) = reranked([Hit("a", 0.9)], [Hit("b", 1.0)], [], {"a": 0.8})
    assert (first.id, second.id) == ("b", "a")
    assert (first.cosine, second.cosine) == (None, 0.8)
