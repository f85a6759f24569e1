"""Fine-tuning with few parameters: low-rank additions (LoRA) to the last layers of a chat model.

The layers below those that learn never change, so what they make of a lesson is computed once and kept; a step then costs only
the layers that learn, forwards and backwards, and the output at the tokens that count. Source of LoRA: Hu et al. 2021,
arXiv:2106.09685.

A run is the same whatever happens in between: order, weights and steps follow from the plan alone, and a checkpoint holds all the
rest. Knows tokens and weights; the lessons' texts are made in lessons.py.
"""

import hashlib
import json
import math
import os
import random
import re
import signal
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from agent.models.decision import plain_messages
from agent.train.lessons import Kind, Lesson
from tools.kit.errors import OperatorError

BATCH = 8
"""Lessons of a step."""
BATCH_TOKENS = 2048
"""Tokens of a step at most, so that long replies do not need much more memory than decisions."""
LEARNING_RATE = 8e-4
WARM_UP = 0.06
"""Share of the steps in which the learning rate rises."""
CHECKPOINT_STEPS = 25
"""Steps between two looks at the lessons held out, each followed by a checkpoint."""
PATIENCE = 4
"""Looks without a lower loss, after which the run ends."""
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NOTHING = re.compile(r"(?!)")
"""Lessons are the shop's own texts: no turn of theirs is broken off by a customer."""


class Interrupted(OperatorError):
    """The run was stopped by Ctrl-C after a whole step; a checkpoint holds it."""


@dataclass(frozen=True)
class Plan:
    """What decides the result, besides the lessons. `layers`: how many of the last ones learn."""

    rank: int
    layers: int
    epochs: int
    seed: int = 0
    learning_rate: float = LEARNING_RATE

    @property
    def alpha(self) -> float:
        """What the additions are multiplied with, times the rank."""
        return 2.0 * self.rank


@dataclass(frozen=True)
class Tokens:
    """A lesson as token ids; the loss counts on `completion` only."""

    kind: Kind
    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    @property
    def read(self) -> tuple[int, ...]:
        """What the model reads: all but the last token, after which nothing is to be written."""
        return (*self.prompt, *self.completion)[:-1]


@dataclass
class Progress:
    """How far a run has come. Losses are means over lessons of the mean over a completion's tokens, in nats."""

    step: int = 0
    best_step: int = 0
    best: float = math.inf
    worse: int = 0
    ended: bool = False
    seconds: float = 0.0
    tokens: int = 0
    looks: list[dict[str, Any]] = field(default_factory=list)
    """Of each look: "step", "decision" and "reply" as far as they are held out, "all"; the first is before any step."""


Shown = Callable[[Progress, int, float], None]
"""Called after each step with the progress, the number of all steps and the step's loss."""


def load_tokenizer(source: Path | str) -> PreTrainedTokenizerBase:
    """The tokenizer of a GGUF file, or of a model on the hub. Raises OperatorError where there is none."""
    with _loading(source):
        if isinstance(source, Path):
            return AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        return AutoTokenizer.from_pretrained(source)


def load_weights(source: Path | str) -> PreTrainedModel:
    """The weights of a GGUF file or of a model on the hub, on the GPU in bfloat16 if there is one, else as float32.

    A file's quantised weights are unpacked: what is trained is what llama.cpp runs. On a processor float32, because without
    instructions for bfloat16 that is several times slower. Raises OperatorError where it cannot be loaded.
    """
    on_gpu = torch.cuda.is_available()
    dtype = torch.bfloat16 if on_gpu and torch.cuda.is_bf16_supported() else torch.float32
    with _loading(source):
        if isinstance(source, Path):
            model = AutoModelForCausalLM.from_pretrained(
                source.parent, gguf_file=source.name, dtype=dtype, quantization_config=GgufConfig(dequantize=True)
            )
        else:
            model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    placed: PreTrainedModel = nn.Module.to(model, torch.device("cuda" if on_gpu else "cpu"))
    return placed


def tokenize(lessons: Iterable[Lesson], tokenizer: PreTrainedTokenizerBase) -> list[Tokens]:
    """The lessons in the model's chat template; a completion ends with the template's end of a turn."""
    made = []
    for lesson in lessons:
        messages = plain_messages(lesson.messages, NOTHING)
        prompt = _templated(tokenizer, messages, add_generation_prompt=True)
        whole = _templated(tokenizer, [*messages, {"role": "assistant", "content": lesson.completion}])
        if not whole.startswith(prompt):
            raise OperatorError("the model's chat template changes a prompt once it is answered; train another base.")
        made.append(Tokens(lesson.kind, _ids(tokenizer, prompt), _ids(tokenizer, whole.removeprefix(prompt).rstrip("\n"))))
    return made


class Student:
    """A chat model whose last `plan.layers` layers learn."""

    def __init__(self, base: PreTrainedModel, plan: Plan) -> None:
        count = len(base.model.layers)
        if not 1 <= plan.layers <= count:
            raise OperatorError(f"{plan.layers} layers cannot learn: the base has {count}; give --layers 1 to {count}.")
        self.plan = plan
        self.first = count - plan.layers
        self.architecture = str(base.config.model_type)
        self.depth = count
        torch.manual_seed(plan.seed)  # of the additions' first values
        config = LoraConfig(
            r=plan.rank,
            lora_alpha=int(plan.alpha),
            target_modules=list(PROJECTIONS),
            layers_to_transform=list(range(self.first, count)),
            layers_pattern="layers",
            task_type="CAUSAL_LM",
        )
        with warnings.catch_warnings():
            # peft asks transformers by a name that is about to go.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            self.model: PeftModel = get_peft_model(base, config)
        self._base = base
        self._layers: nn.ModuleList = base.model.layers
        self._norm: nn.Module = base.model.norm
        self._head: nn.Module = base.get_output_embeddings()  # type: ignore[no-untyped-call]
        self.device = base.device
        self.learnt = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def set_learnt(self, weights: dict[str, Tensor]) -> None:
        """Put `weights` in the place of what was learnt."""
        with torch.no_grad():
            for name, weight in self.learnt.items():
                weight.copy_(weights[name])

    def read(self, lessons: Sequence[Tokens], advance: Callable[[int], None]) -> list[Tensor]:
        """What the layers that do not learn make of each lesson: (tokens, width), in main memory; `advance` gets tokens."""
        hidden: list[Tensor] = [torch.empty(0)] * len(lessons)
        by_length = sorted(range(len(lessons)), key=lambda number: len(lessons[number].read))
        with torch.no_grad():
            for numbers in _cut(by_length, lessons):
                longest = max(len(lessons[number].read) for number in numbers)
                # Padding stands at the end, where a causal model's earlier tokens do not see it.
                padded = [[*lessons[number].read, *[0] * (longest - len(lessons[number].read))] for number in numbers]
                embedded = self._base.get_input_embeddings()(torch.tensor(padded, device=self.device))
                below = self._run(embedded, 0, self.first, nn.Identity()) if self.first else embedded
                for number, row in zip(numbers, below, strict=True):
                    hidden[number] = row[: len(lessons[number].read)].cpu().clone()
                advance(sum(len(lessons[number].read) for number in numbers))
        return hidden

    def losses(self, lessons: Sequence[Tokens], hidden: Sequence[Tensor]) -> Tensor:
        """The mean loss of each lesson's completion, in nats a token; shape (lessons,)."""
        width = nn.utils.rnn.pad_sequence(list(hidden), batch_first=True).to(self.device)
        top = self._run(width, self.first, self.depth, self._norm)
        rows = torch.cat([torch.full((len(each.completion),), row) for row, each in enumerate(lessons)]).to(self.device)
        places = torch.cat([torch.arange(len(each.prompt) - 1, len(each.read)) for each in lessons]).to(self.device)
        targets = torch.tensor([token for each in lessons for token in each.completion], device=self.device)
        # The vocabulary is the widest matrix of all: only the places that count are multiplied with it.
        logits = self._head(top[rows, places]).float()
        each_token = nn.functional.cross_entropy(logits, targets, reduction="none")
        sums = torch.zeros(len(lessons), device=self.device).index_add(0, rows, each_token)
        return sums / torch.tensor([len(each.completion) for each in lessons], device=self.device)

    def _run(self, hidden: Tensor, start: int, end: int, norm: nn.Module) -> Tensor:
        decoder = self._base.model
        decoder.layers, decoder.norm = self._layers[start:end], norm
        try:
            output: Tensor = decoder(inputs_embeds=hidden, use_cache=False).last_hidden_state
        finally:
            decoder.layers, decoder.norm = self._layers, self._norm
        return output


def fingerprint(plan: Plan, base: str, lessons: Sequence[Tokens], held_out: Sequence[Tokens]) -> str:
    """What tells one run from another: plan, base, lessons, and the constants of this file."""
    constants = [BATCH, BATCH_TOKENS, WARM_UP, CHECKPOINT_STEPS, PATIENCE, *PROJECTIONS]
    said = json.dumps([asdict(plan), base, constants, [asdict(each) for each in (*lessons, *held_out)]])
    return hashlib.sha256(said.encode()).hexdigest()


def train(
    student: Student,
    lessons: Sequence[Tokens],
    held_out: Sequence[Tokens],
    checkpoint: Path,
    *,
    key: str,
    read: Callable[[int], None] = lambda _: None,
    shown: Shown = lambda _progress, _steps, _loss: None,
) -> Progress:
    """Train until the plan is done or the held-out loss no longer falls; the student then has the best weights seen.

    `key` is the run's fingerprint: where `checkpoint` is of the same run, it goes on from there. `read` is told of tokens read
    before the first step. Raises Interrupted after Ctrl-C, at the end of the step, with everything kept in `checkpoint`; and
    OperatorError for a checkpoint of another run, which is left alone.
    """
    progress, best = Progress(), _copied(student.learnt)
    optimizer = torch.optim.AdamW(student.learnt.values(), lr=student.plan.learning_rate, weight_decay=0.0)
    if checkpoint.exists():
        progress, best = _restored(checkpoint, key, student, optimizer)
    steps = [batch for epoch in range(student.plan.epochs) for batch in _epoch(lessons, student.plan.seed, epoch)]
    if progress.ended:
        student.set_learnt(best)
        return progress
    hidden = student.read([*lessons, *held_out], read)
    judged = hidden[len(lessons) :]

    def look() -> None:
        with torch.no_grad():
            progress.looks.append({"step": progress.step, **_judged(student, held_out, judged)})
        loss = progress.looks[-1]["all"]
        if loss < progress.best:
            progress.best, progress.best_step, progress.worse = loss, progress.step, 0
            best.update(_copied(student.learnt))
        else:
            progress.worse += 1

    if not progress.looks:
        look()
    with _stoppable() as stopped:
        while progress.step < len(steps) and progress.worse < PATIENCE:
            began = time.monotonic()
            batch = steps[progress.step]
            for group in optimizer.param_groups:
                group["lr"] = student.plan.learning_rate * _pace(progress.step, len(steps))
            chosen = [lessons[number] for number in batch]
            loss = student.losses(chosen, [hidden[number] for number in batch]).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(student.learnt.values(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            progress.step += 1
            progress.seconds += time.monotonic() - began
            progress.tokens += sum(len(each.read) for each in chosen)
            if progress.step % CHECKPOINT_STEPS == 0 or progress.step == len(steps):
                look()
                progress.ended = progress.step == len(steps) or progress.worse >= PATIENCE
                _keep(checkpoint, key, student, optimizer, progress, best)
            shown(progress, len(steps), float(loss.detach()))
            if stopped.is_set() and not progress.ended:
                _keep(checkpoint, key, student, optimizer, progress, best)
                raise Interrupted(f"stopped after step {progress.step} of {len(steps)}; the same command goes on from there.")
    student.set_learnt(best)
    return progress


def _judged(student: Student, held_out: Sequence[Tokens], hidden: Sequence[Tensor]) -> dict[str, float]:
    by_kind: dict[str, list[float]] = {}
    by_length = sorted(range(len(held_out)), key=lambda number: len(held_out[number].read))
    for numbers in _cut(by_length, held_out):
        losses = student.losses([held_out[number] for number in numbers], [hidden[number] for number in numbers])
        for number, loss in zip(numbers, losses.tolist(), strict=True):
            by_kind.setdefault(held_out[number].kind, []).append(loss)
    everything = [loss for losses in by_kind.values() for loss in losses]
    means = {kind: sum(losses) / len(losses) for kind, losses in sorted(by_kind.items())}
    return {**means, "all": sum(everything) / len(everything)}


def _epoch(lessons: Sequence[Tokens], seed: int, epoch: int) -> list[list[int]]:
    """Steps of lessons that are about equally long, in an order of their own each epoch."""
    rng = random.Random(f"{seed} {epoch}")
    order = list(range(len(lessons)))
    rng.shuffle(order)
    steps = []
    pool = 16 * BATCH
    for start in range(0, len(order), pool):
        steps += _cut(sorted(order[start : start + pool], key=lambda number: len(lessons[number].read)), lessons)
    rng.shuffle(steps)
    return steps


def _cut(numbers: Sequence[int], lessons: Sequence[Tokens]) -> list[list[int]]:
    """Batches of at most BATCH lessons and, if more than one, BATCH_TOKENS tokens with their padding."""
    batches: list[list[int]] = []
    for number in numbers:
        last = batches[-1] if batches else []
        longest = max((len(lessons[each].read) for each in [*last, number]), default=0)
        if last and len(last) < BATCH and longest * (len(last) + 1) <= BATCH_TOKENS:
            last.append(number)
        else:
            batches.append([number])
    return batches


def _pace(step: int, steps: int) -> float:
    """The share of the full learning rate: rising at first, then falling to a tenth as half a cosine."""
    rising = max(1, round(WARM_UP * steps))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def _keep(
    path: Path, key: str, student: Student, optimizer: torch.optim.Optimizer, progress: Progress, best: dict[str, Tensor]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(
        {
            "key": key,
            "progress": asdict(progress),
            "learnt": _copied(student.learnt),
            "best": best,
            "optimizer": optimizer.state_dict(),
        },
        part,
    )
    os.replace(part, path)


def _restored(path: Path, key: str, student: Student, optimizer: torch.optim.Optimizer) -> tuple[Progress, dict[str, Tensor]]:
    try:
        kept = torch.load(path, map_location=student.device, weights_only=True)
        if kept["key"] != key:
            raise OperatorError(
                f"'{path}' is of another run (other data, base or options); give --no-resume to start anew, or another --out."
            )
        student.set_learnt(kept["learnt"])
        optimizer.load_state_dict(kept["optimizer"])
        return Progress(**kept["progress"]), kept["best"]
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, OSError) as error:
        raise OperatorError(f"'{path}' is no checkpoint ({error}); give --no-resume to start anew.") from error


def _copied(weights: dict[str, Any]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in weights.items()}


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """Set once Ctrl-C (or a polite kill) came; a second one breaks off at once. Elsewhere than in the main thread never set."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(*_: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _loading(source: Path | str) -> Iterator[None]:
    # Its bars would be drawn over ours.
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    except (OSError, ValueError, KeyError, NotImplementedError, struct.error) as error:
        raise OperatorError(
            f"transformers cannot read '{source}' ({str(error)[:300]}); name a GGUF file of a model it knows, or a model of the hub."
        ) from error


def _templated(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], *, add_generation_prompt: bool = False
) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt))


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
