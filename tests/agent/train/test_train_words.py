"""Learning a shop's own words, on a text encoder of a few thousand weights: it finds more, goes on where it stopped, and can be loaded."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel

from agent.own_queries import OwnQueries
from agent.train.words import Lessons, Plan, lessons_of, measure_queries, read_pairs, split_queries, train_words
from tools.catalog.text_encoder import TextEncoder
from tools.kit.errors import OperatorError

THINGS, KINDS = ("sofa", "lamp", "rug", "desk"), ("red", "blue", "small", "large", "old", "new")
SLANG = {thing: f"{thing}y" for thing in THINGS}
"""What the shop's customers call its things."""
PLAN = Plan(epochs=25, learning_rate=3e-3, patience=25)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder = tmp_path_factory.mktemp("encoder")
    words = ["<pad>", "<unk>", "query", "passage", ":", "the", "a", *THINGS, *SLANG.values(), *KINDS]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(special), encoding="utf-8")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=8, num_attention_heads=2, intermediate_size=64, pad_token_id=0
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return TextEncoder(folder)


@pytest.fixture(scope="module")
def lessons(encoder: TextEncoder) -> Lessons:
    names = [f"{kind} {thing}" for thing in THINGS for kind in KINDS]
    slang = {f"{word} {kind} {SLANG[thing]}": frozenset({f"{kind} {thing}"}) for word in ("the", "a", "the a", "a the")
             for thing in THINGS for kind in KINDS}  # fmt: skip
    return Lessons(names, encoder.passages(names), slang, "en")


def test_it_finds_more_and_what_it_writes_is_loaded(encoder: TextEncoder, lessons: Lessons, tmp_path: Path) -> None:
    learn, stop_by, told = split_queries(lessons.answers)
    assert not set(learn) & set(stop_by) | set(told) & {*learn, *stop_by}
    shares: list[float] = []
    out = tmp_path / "own.safetensors"
    course = train_words(encoder, lessons, learn, stop_by, PLAN, out, tmp_path, lambda share, _: shares.append(share))
    assert shares == sorted(shares)
    assert course.best > 0
    assert course.looks[course.best] > course.looks[0] + 0.2

    def first(vectors: Any) -> int:
        nearest = [lessons.products[place] for place in (vectors @ lessons.vectors.T).argmax(1)]
        return sum(each in lessons.answers[query] for query, each in zip(told, nearest, strict=True))

    own = OwnQueries(encoder, out)
    assert first(own(told)) > first(encoder.queries(told))
    assert np.linalg.norm(own(told), axis=1) == pytest.approx(1, abs=1e-5)


def test_interrupted_it_goes_on_and_comes_to_the_same(encoder: TextEncoder, lessons: Lessons, tmp_path: Path) -> None:
    learn, stop_by, _ = split_queries(lessons.answers)
    plan = Plan(epochs=3, learning_rate=3e-3)
    whole = train_words(encoder, lessons, learn, stop_by, plan, tmp_path / "a", tmp_path / "one", lambda *_: None)

    def interrupt(_: float, what: str) -> None:
        if "epoch 3" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_words(encoder, lessons, learn, stop_by, plan, tmp_path / "b", tmp_path / "two", interrupt)
    steps: list[str] = []
    later = train_words(
        encoder, lessons, learn, stop_by, plan, tmp_path / "b", tmp_path / "two", lambda _, what: steps.append(what)
    )
    assert steps[0].startswith("epoch 3 of 3")
    assert later.looks == pytest.approx(whole.looks)


def test_where_nothing_gets_better_nothing_is_written(encoder: TextEncoder, lessons: Lessons, tmp_path: Path) -> None:
    learn, stop_by, _ = split_queries(lessons.answers)
    plan = Plan(epochs=9, learning_rate=0.0, patience=2)
    course = train_words(encoder, lessons, learn, stop_by, plan, tmp_path / "own", tmp_path, lambda *_: None)
    assert len(course.looks) == 3
    assert not course.best
    assert not (tmp_path / "own").exists()


def test_words_of_another_encoder_are_refused(encoder: TextEncoder, lessons: Lessons, tmp_path: Path) -> None:
    learn, stop_by, _ = split_queries(lessons.answers)
    out = tmp_path / "own"
    train_words(encoder, lessons, learn, stop_by, Plan(epochs=2, learning_rate=3e-3), out, tmp_path, lambda *_: None)
    other = cast(Any, SimpleNamespace(fingerprint="other"))
    with pytest.raises(OperatorError, match=r"another text encoder.*storehand train words"):
        OwnQueries(other, out)
    out.write_bytes(b"no tensors")
    with pytest.raises(OperatorError, match="cannot be read"):
        OwnQueries(encoder, out)


def test_pairs_are_read_from_json_lines_and_csv(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"query": "a sofa", "product_id": "p1"}\n')
    (tmp_path / "a.csv").write_text("product_id,query,day\np1,a sofa,monday\n")
    assert read_pairs(tmp_path / "a.jsonl") == read_pairs(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("product,query\np1,a sofa\n")
    with pytest.raises(OperatorError, match="columns query and product_id"):
        read_pairs(tmp_path / "b.csv")


def test_pairs_of_products_that_the_shop_does_not_have_are_left_out(encoder: TextEncoder, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"query": "sofa", "product_id": "p1"}\n{"query": "sofa", "product_id": "gone"}\n{"query": "x", "product_id": "gone"}\n'
    )
    shop = cast(Any, SimpleNamespace(products=lambda: [SimpleNamespace(id="p1")]))
    index = cast(Any, SimpleNamespace(vectors=lambda kind, product: {"en": encoder.passages([product])[0]}))
    lessons = lessons_of(shop, index, read_pairs(tmp_path / "a.jsonl"))
    assert lessons.answers == {"sofa": frozenset({"p1"})}
    with pytest.raises(OperatorError, match="too few"):
        split_queries(lessons.answers)
    catalog = cast(Any, SimpleNamespace(search=lambda *_, **__: [SimpleNamespace(id="p1")]))
    assert set(measure_queries(catalog, lessons, ["sofa"]).values()) == {1.0}
