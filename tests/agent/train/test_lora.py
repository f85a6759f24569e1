"""Training on a tiny model: it learns, an interruption changes nothing, and llama.cpp runs what was trained."""

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import HumanMessage

from agent.models.llama_engine import Engine, load_engine
from agent.train import lora
from agent.train.gguf_adapter import write_gguf_adapter
from agent.train.lessons import Lesson
from tools.kit.errors import ModelFailed, OperatorError, WeightsUnavailable

PLAN = lora.Plan(rank=8, layers=2, epochs=5, learning_rate=3e-2)
TOOLS = {"where is it": "track", "a red coat": "search", "thanks": "reply"}


def lessons(count: int) -> list[Lesson]:
    rng = random.Random(1)
    made = []
    for number in range(count):
        said, tool = rng.choice(sorted(TOOLS.items()))
        message = HumanMessage(f"{said} {'please ' * rng.randrange(4)}{number}")
        made.append(Lesson("decision", "en", tool, (message,), f'{{"tool": "{tool}"}}'))
    return made


def learn(tiny: Path, checkpoint: Path, plan: lora.Plan = PLAN, **options: Any) -> tuple[lora.Student, lora.Progress]:
    student = lora.Student(lora.load_weights(tiny), plan)
    tokens = lora.tokenize(lessons(60), lora.load_tokenizer(tiny))
    run = lora.train(student, tokens[:48], tokens[48:], checkpoint, key=lora.fingerprint(plan, "tiny", tokens, []), **options)
    return student, run


@pytest.fixture(scope="module")
def learnt(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[lora.Student, lora.Progress]:
    """A whole run, in 30 steps."""
    return learn(tiny_gguf, tmp_path_factory.mktemp("run") / "checkpoint.pt")


@pytest.fixture(scope="module")
def adapter(learnt: tuple[lora.Student, lora.Progress], tmp_path_factory: pytest.TempPathFactory) -> Path:
    student, _ = learnt
    path = tmp_path_factory.mktemp("adapter") / "tiny-chat.gguf"
    write_gguf_adapter(path, student.learnt, architecture="qwen2", layers=3, alpha=PLAN.alpha, name="tiny-chat")
    return path


def test_training_lowers_the_loss_of_lessons_held_out(learnt: tuple[lora.Student, lora.Progress]) -> None:
    _, run = learnt
    assert [look["step"] for look in run.looks] == [0, 25, 30]
    assert run.best < 0.7 * run.looks[0]["all"]
    assert run.ended


def test_only_the_last_layers_learn(learnt: tuple[lora.Student, lora.Progress]) -> None:
    student, _ = learnt
    assert {name.split(".layers.")[1].split(".")[0] for name in student.learnt} == {"1", "2"}
    assert len(student.learnt) == 2 * 7 * 2


def test_what_is_kept_of_the_lower_layers_gives_the_models_own_loss(
    learnt: tuple[lora.Student, lora.Progress], tiny_gguf: Path
) -> None:
    student, _ = learnt
    tokens = lora.tokenize(lessons(5), lora.load_tokenizer(tiny_gguf))
    with torch.no_grad():
        ours = student.losses(tokens, student.read(tokens, lambda _: None))
        for lesson, loss in zip(tokens, ours, strict=True):
            whole = torch.tensor([[*lesson.prompt, *lesson.completion]])
            labels = torch.tensor([[*[-100] * len(lesson.prompt), *lesson.completion]])
            assert float(student.model(input_ids=whole, labels=labels).loss) == pytest.approx(float(loss), abs=1e-4)


def test_a_run_that_was_interrupted_and_resumed_ends_like_one_that_was_not(
    learnt: tuple[lora.Student, lora.Progress], tiny_gguf: Path, tmp_path: Path
) -> None:
    def press_ctrl_c(run: lora.Progress, _steps: int, _loss: float) -> None:
        if run.step in (7, 26):
            os.kill(os.getpid(), signal.SIGINT)

    for step in (7, 26):
        with pytest.raises(lora.Interrupted, match=f"after step {step} of 30"):
            learn(tiny_gguf, tmp_path / "checkpoint.pt", shown=press_ctrl_c)
    student, run = learn(tiny_gguf, tmp_path / "checkpoint.pt")
    whole, whole_run = learnt
    assert run.looks == whole_run.looks
    for name, weight in whole.learnt.items():
        assert torch.equal(weight, student.learnt[name])


def test_a_finished_run_is_not_trained_again(tiny_gguf: Path, tmp_path: Path) -> None:
    plan = lora.Plan(rank=2, layers=1, epochs=1)
    first, _ = learn(tiny_gguf, tmp_path / "checkpoint.pt", plan)

    def never(*_: object) -> None:
        raise AssertionError("a step was made")

    again, _ = learn(tiny_gguf, tmp_path / "checkpoint.pt", plan, shown=never)
    assert all(torch.equal(weight, again.learnt[name]) for name, weight in first.learnt.items())


def test_the_checkpoint_of_another_run_is_left_alone(tiny_gguf: Path, tmp_path: Path) -> None:
    plan = lora.Plan(rank=2, layers=1, epochs=1)
    learn(tiny_gguf, tmp_path / "checkpoint.pt", plan)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(OperatorError, match=r"another run.*--no-resume"):
        learn(tiny_gguf, tmp_path / "checkpoint.pt", lora.Plan(rank=2, layers=1, epochs=2))
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_a_broken_checkpoint_is_named(tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"half")
    with pytest.raises(OperatorError, match=r"checkpoint\.pt' is no checkpoint.*--no-resume"):
        learn(tiny_gguf, tmp_path / "checkpoint.pt")


def test_more_layers_than_the_base_has_are_refused(tiny_gguf: Path) -> None:
    with pytest.raises(OperatorError, match="the base has 3; give --layers 1 to 3"):
        lora.Student(lora.load_weights(tiny_gguf), lora.Plan(rank=2, layers=4, epochs=1))


def test_what_transformers_cannot_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(OperatorError, match=r"broken\.gguf"):
        lora.load_weights(path)


def next_token_log_probs(engine: Engine, tokens: tuple[int, ...], most: int = 8) -> dict[int, float]:
    """llama.cpp's likeliest next tokens with their log-probabilities; nothing where the likeliest ends the text."""
    answers: list[dict[str, Any]] = []
    request = {"prompt": list(tokens), "max_tokens": 1, "temperature": 0, "logprobs": most}
    engine._server.handle_completions(request, answers.append)  # type: ignore[attr-defined]
    found = answers[0]["choices"][0]["logprobs"]
    return {each["id"]: each["logprob"] for each in found["content"][0]["top_logprobs"]} if found else {}


def test_llama_cpp_with_the_adapter_predicts_what_was_trained(
    learnt: tuple[lora.Student, lora.Progress], adapter: Path, tiny_gguf: Path, tmp_path: Path
) -> None:
    student, _ = learnt
    options: dict[str, Any] = {"conversations": 1, "context_tokens_per_conversation": 512, "threads": 1, "cache_dir": tmp_path}
    with_adapter = load_engine(tiny_gguf, adapter=adapter, **options)
    base = load_engine(tiny_gguf, **options)
    compared, off, changed = 0, 0.0, 0.0
    for lesson in lora.tokenize(lessons(8), lora.load_tokenizer(tiny_gguf)):
        for read in (lesson.read[:-2], lesson.read[:-5], lesson.prompt):
            tokens = torch.tensor([read])
            with torch.no_grad():
                trained = torch.log_softmax(student.model(input_ids=tokens).logits[0, -1], dim=-1)
                with student.model.disable_adapter():
                    untrained = torch.log_softmax(student.model(input_ids=tokens).logits[0, -1], dim=-1)
            for engine, expected in ((with_adapter, trained), (base, untrained)):
                for token, log_prob in next_token_log_probs(engine, read).items():
                    off = max(off, abs(log_prob - float(expected[token])))
                    compared += 1
            changed = max(changed, float((trained - untrained).abs().max()))
    assert compared > 100
    # F16 of the adapter and of llama.cpp's cache.
    assert off < 0.05
    assert changed > 2


def test_an_adapter_for_an_unknown_architecture_is_refused(learnt: tuple[lora.Student, lora.Progress], tmp_path: Path) -> None:
    student, _ = learnt
    with pytest.raises(OperatorError, match=r"'llama' cannot be written.*qwen2"):
        write_gguf_adapter(tmp_path / "a.gguf", student.learnt, architecture="llama", layers=3, alpha=8, name="a")
    with pytest.raises(OperatorError, match="'head' has no place"):
        write_gguf_adapter(tmp_path / "a.gguf", {"head": torch.ones(2)}, architecture="qwen2", layers=3, alpha=8, name="a")
    assert not (tmp_path / "a.gguf").exists()


def test_a_missing_adapter_is_named(tiny_gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"absent\.gguf'.*model\.adapter"):
        load_engine(tiny_gguf, adapter=tmp_path / "absent.gguf", cache_dir=tmp_path)


def test_a_file_that_is_no_adapter_is_named(tiny_gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match=r"tiny\.gguf', which must be made for this model"):
        load_engine(tiny_gguf, adapter=tiny_gguf, cache_dir=tmp_path)
