"""Training the chooser, on a text encoder of a few thousand weights: it learns, goes on where it was interrupted, and can be loaded."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel

from agent.chooser.chooser import Chooser
from agent.chooser.linear import losses
from agent.examples import Example
from agent.train.chooser import Plan, train_chooser
from agent.train.noise import noisy
from tools.catalog.text_encoder import TextEncoder
from tools.kit.errors import OperatorError

WORDS = {
    "track_order": "parcel late courier where arrived tracking".split(),
    "search_products": "tent lamp shoes sell cheap colour".split(),
    "quote_return": "refund back broken unwanted send money".split(),
}
FILLERS = "the my a please it is of on".split()
PLAN = Plan(held_out=("en-2", "zh-2"), epochs=3)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder = tmp_path_factory.mktemp("encoder")
    words = ["<pad>", "<unk>", "query", ":", "[", "]", *FILLERS, *(word for each in WORDS.values() for word in each)]
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
def examples() -> list[Example]:
    rng = random.Random(5)
    made = []
    for writer in ("en-1", "en-2", "zh-1", "zh-2"):
        for tool, words in WORDS.items():
            for _ in range(12):
                said = rng.sample(FILLERS, 3) + rng.sample(words, 2)
                rng.shuffle(said)
                made.append(Example(say=" ".join(said), tool=tool, writer=writer))
    made.append(Example(say="the parcel is broken", tool=("quote_return", "track_order"), writer="en-1"))
    made.append(Example(say="send back it parcel", tool=("quote_return", "search_products"), any_of=True, writer="en-1"))
    return [*made, Example(say="please please", tool="reply", talk="thanks", writer="en-1")]


def test_it_learns_and_what_it_writes_is_loaded(encoder: TextEncoder, examples: list[Example], tmp_path: Path) -> None:
    told: list[float] = []
    card = train_chooser(
        encoder, examples, PLAN, tmp_path / "c.safetensors", tmp_path / "kept", lambda share, _: told.append(share)
    )
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    assert card["figures"]["joined"]["accuracy"] >= 0.9
    assert card["sentences"] == sum(example.writer not in PLAN.held_out for example in examples)
    chooser = Chooser(encoder, tmp_path / "c.safetensors")
    evidence = chooser.look_up("where is my parcel", "en", before=None, photo=False)
    assert next(iter(evidence.shares)) == "track_order"
    assert sum(evidence.shares.values()) == pytest.approx(1)
    assert set(evidence.shares) == {*WORDS, "reply"}


def test_of_tools_that_are_all_right_the_likeliest_needs_no_company() -> None:
    log_shares = torch.tensor([[0.98, 0.01, 0.01]] * 3).log()
    shared, either, other = losses(log_shares, torch.tensor([[0.5, 0.5, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])).tolist()
    assert either == pytest.approx(-math.log(0.99), abs=1e-4)
    assert shared > 2
    assert other == pytest.approx(-math.log(0.02), abs=1e-4)


def test_a_sentence_with_one_right_tool_costs_what_the_cross_entropy_says() -> None:
    scores, right = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    for smoothing in (0.0, 0.1):
        known = torch.nn.functional.cross_entropy(scores, right, label_smoothing=smoothing)
        assert losses(scores.log_softmax(-1), right, smoothing).item() == pytest.approx(known.item())


def test_interrupted_it_goes_on_and_comes_to_the_same(encoder: TextEncoder, examples: list[Example], tmp_path: Path) -> None:
    whole, later = tmp_path / "whole.safetensors", tmp_path / "later.safetensors"
    train_chooser(encoder, examples, PLAN, whole, tmp_path / "one", lambda *_: None)

    def interrupt(_: float, what: str) -> None:
        if "encoder 2" in what and "epoch 2" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_chooser(encoder, examples, PLAN, later, tmp_path / "two", interrupt)
    assert not later.exists()
    steps: list[str] = []
    train_chooser(encoder, examples, PLAN, later, tmp_path / "two", lambda _, what: steps.append(what))
    assert next(step for step in steps if "epoch" in step).startswith("encoder 2 of 3, epoch 2 of 3")
    one, two = load_file(whole), load_file(later)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_going_on_it_keeps_what_was_learnt_and_takes_few_steps(
    encoder: TextEncoder, examples: list[Example], tmp_path: Path
) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train_chooser(encoder, examples, PLAN, first, tmp_path / "kept", lambda *_: None)
    added = Example(say="courier please", tool="track_order", writer="en-1")
    plan = replace(PLAN, begin=first, epochs=1)
    steps: list[str] = []
    card = train_chooser(encoder, [*examples, added], plan, second, tmp_path / "kept", lambda _, what: steps.append(what))
    assert card["figures"]["joined"]["accuracy"] >= 0.9
    assert card["plan"]["begin"] == first.name
    assert {step.split(",")[1].strip() for step in steps if "epoch" in step} == {"epoch 1 of 1"}
    assert Chooser(encoder, second).look_up("where is my parcel", "en", before=None, photo=False).shares["track_order"] > 0.5


def test_it_does_not_go_on_from_one_that_has_read_who_is_held_out(
    encoder: TextEncoder, examples: list[Example], tmp_path: Path
) -> None:
    first = tmp_path / "first.safetensors"
    train_chooser(encoder, examples, PLAN, first, tmp_path / "kept", lambda *_: None)
    plan = replace(PLAN, begin=first, held_out=("en-1", "zh-2"))
    with pytest.raises(OperatorError, match="--fresh"):
        train_chooser(encoder, examples, plan, tmp_path / "second.safetensors", tmp_path / "kept", lambda *_: None)


def test_a_chooser_of_another_encoder_is_refused(encoder: TextEncoder, examples: list[Example], tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    train_chooser(encoder, examples, Plan(held_out=("en-2", "zh-2"), epochs=1), path, tmp_path / "kept", lambda *_: None)

    class Other:
        fingerprint = "text-other"

    with pytest.raises(OperatorError, match="another text encoder"):
        Chooser(Other(), path)  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match="storehand train chooser"):
        Chooser(encoder, tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("said", "language"),
    [("Where is my parcel 4217? It should have come.", "en"), ("我的快递4217到哪里了呀，怎么还没有到", "zh")],
)
def test_a_slip_leaves_the_number_and_nearly_all_letters(said: str, language: str) -> None:
    seen = {noisy(said, language, random.Random(seed)) for seed in range(60)}  # type: ignore[arg-type]
    assert len(seen) > 5
    assert all("4217" in slip for slip in seen)
    assert all(abs(len(slip) - len(said)) <= 10 for slip in seen)
    assert noisy("hm", "en", random.Random(1)) == "hm"
