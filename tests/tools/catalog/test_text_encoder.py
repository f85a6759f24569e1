from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tools.catalog.text_encoder import TextEncoder
from tools.kit.errors import WeightsUnavailable


@pytest.mark.real
def test_a_question_is_nearest_to_its_answer_in_either_language(text_encoder: TextEncoder) -> None:
    answers = text_encoder.passages(
        ["You can return most items within 30 days.", "Parcels arrive in 3 to 5 days.", "A linen dress for summer."]
    )
    questions = text_encoder.queries(["how do I send it back?", "什么时候到货", "夏季连衣裙"])
    assert (questions @ answers.T).argmax(axis=1).tolist() == [0, 1, 2]


@pytest.mark.real
def test_a_vector_does_not_depend_on_the_batch_it_is_computed_in(text_encoder: TextEncoder) -> None:
    texts = ["short", "a much longer sentence about the delivery of parcels " * 8, "鞋", ""]
    together = text_encoder.passages(texts)
    alone = np.concatenate([text_encoder.passages([text]) for text in texts])
    assert together.shape == (4, text_encoder.dimensions)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


@pytest.mark.real
def test_no_texts_give_no_vectors(text_encoder: TextEncoder) -> None:
    assert text_encoder.queries([]).shape == (0, text_encoder.dimensions)


@pytest.mark.real
def test_a_text_longer_than_the_model_reads_is_cut(text_encoder: TextEncoder) -> None:
    long = "dress " * 5000
    np.testing.assert_allclose(text_encoder.passages([long]), text_encoder.passages([long + "kettle"]), atol=1e-5)


@pytest.mark.real
def test_many_threads_get_the_vectors_that_one_gets(text_encoder: TextEncoder) -> None:
    texts = [f"dress number {number} " * (1 + number % 5) for number in range(24)]
    expected = text_encoder.queries(texts)
    with ThreadPoolExecutor(4) as threads:
        found = np.concatenate(list(threads.map(lambda text: text_encoder.queries([text]), texts)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.real
def test_the_fingerprint_is_the_same_for_the_same_weights(text_encoder: TextEncoder, e5_folder: Path) -> None:
    assert text_encoder.fingerprint == TextEncoder(e5_folder).fingerprint


def test_a_folder_without_weights_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="storehand weights"):
        TextEncoder(tmp_path)
