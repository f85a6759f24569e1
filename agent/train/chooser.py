"""Fits the chooser: a LoRA and a head on the text encoder, a linear classifier beside them, and what joins and calibrates the two.

It goes on from a chooser that has learnt before, or learns anew. One writer of each language is held out: on sentences of people whom
it never read, the weight of the two classifiers and their temperature are fitted, and the figures of the card are measured. So they are
figures of the very file that is written.
"""

import hashlib
import math
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model

from agent.chooser.chooser import TALK, join, load, of_member, save
from agent.chooser.evidence import calibration_error
from agent.chooser.linear import Linear, losses
from agent.chooser.situation import Situation
from agent.chooser.tuned import FIRST_LAYER, Tuned, normal, token_ids, upper_copy
from agent.examples import REPLY, Example, digest_of, files_digest
from agent.train.noise import noisy
from tools.catalog.text_encoder import TextEncoder
from tools.kit.errors import OperatorError

RANK = 16
ALPHA = 32
BATCH = 32
LEARNING_RATE, HEAD_LEARNING_RATE = 1.5e-3, 3e-3
GOING_ON = 0.5
"""What of the learning rates is left for tuned encoders that have learnt before."""
REVISED = 3
"""Every so many sentences of the writers whom they have read are seen again, so that nothing is forgotten; the new ones all are."""
WARM_UP = 0.06
SMOOTHING = 0.05
MEMBERS = 3
"""Tuned encoders, each with a seed of its own; their mean is right more often than any one, and knows better when it may be wrong."""
NOISE = 0.25
"""Share of the sentences that get a slip, anew in every epoch."""

HALF = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
"""Whether the encoder's matrices are multiplied in bfloat16, which takes two thirds of the time where the processor knows how."""

Floats = NDArray[np.float32]
Tell = Callable[[float, str], None]
"""Told how much of all is done, from 0 to 1, and what is being done."""


@dataclass(frozen=True)
class Plan:
    """What decides the result, besides the examples. `held_out` names the writers who are not learnt,
    `begin` the chooser to go on from; None to learn anew."""

    held_out: tuple[str, ...]
    epochs: int = 1
    begin: Path | None = None
    seed: int = 0
    noise: float = NOISE


def train_chooser(
    encoder: TextEncoder, examples: Sequence[Example], plan: Plan, out: Path, checkpoints: Path, tell: Tell
) -> dict[str, Any]:
    """Fit on the examples and write `out`; returns the card. Interrupted, it goes on at the last whole epoch in `checkpoints`.

    Raises OperatorError where the chooser to go on from has read the writers that are held out, or fits neither labels nor encoder.
    """
    labels = sorted({label for example in examples for label in _labels(example)})
    known = [example for example in examples if example.writer not in plan.held_out]
    unknown = [example for example in examples if example.writer in plan.held_out]
    begun, read = _begun(plan, labels, encoder) if plan.begin else (None, set())
    tuned = _tuned(
        encoder,
        [example for number, example in enumerate(known) if example.writer not in read or number % REVISED == 0],
        labels,
        plan,
        begun,
        checkpoints,
        tell,
    )
    tell(1.0, "fitting the linear classifier")
    sentences = [example.say for example in known]
    linear = Linear.fit(sentences, encoder.queries(sentences), list(map(Situation.of, known)), _right(known, labels))
    by_member, by_words = _predict(encoder, tuned, linear, unknown)
    by_meaning = np.mean(by_member, axis=0)
    weight, temperature = _joined(by_meaning, by_words, unknown, labels)
    figures = {
        "one tuned encoder": measured(by_member[0], unknown, labels),
        f"{MEMBERS} tuned encoders": measured(by_meaning, unknown, labels),
        "linear classifier": measured(by_words, unknown, labels),
        "joined": measured(join(by_meaning, by_words, weight, temperature), unknown, labels),
    }
    card = {
        "labels": labels,
        "encoder": encoder.fingerprint,
        "examples": files_digest(),
        "sentences": len(known),
        "writers": sorted({example.writer for example in known}),
        "members": len(tuned),
        "lora_scale": ALPHA / RANK,
        "tuned_weight": weight,
        "temperature": temperature,
        "figures": figures,
        "plan": {**asdict(plan), "begin": plan.begin.name if plan.begin else None},
    }
    tensors = {
        f"{member}.{name}": tensor.half() if "lora" in name else tensor
        for member, its in enumerate(tuned)
        for name, tensor in its.items()
    }
    tensors |= {
        "linear.mean": torch.from_numpy(linear.mean),
        "linear.weights": torch.from_numpy(linear.weights).half(),
        "linear.bias": torch.from_numpy(linear.bias),
    }
    save(out, tensors, card)
    return card


def measured(shares: NDArray[Any], examples: Sequence[Example], labels: Sequence[str]) -> dict[str, float]:
    """Accuracy by language on the sentences with one right tool, and the expected calibration error on all."""
    tools = sorted({_tool(label) for label in labels})
    by_tool = np.stack([shares[:, [_tool(label) == tool for label in labels]].sum(axis=1) for tool in tools], axis=1)
    chosen, sure = by_tool.argmax(axis=1), by_tool.max(axis=1)
    right = np.array([tools[index] in example.tools for index, example in zip(chosen, examples, strict=True)])
    single = np.array([len(example.tools) == 1 for example in examples])
    english = np.array([Situation.of(example).language == "en" for example in examples])
    return {
        "accuracy": float(right[single].mean()),
        "accuracy_en": float(right[single & english].mean()),
        "accuracy_zh": float(right[single & ~english].mean()),
        "ece": calibration_error(sure[single].tolist(), right[single].tolist()),
    }


def _labels(example: Example) -> list[str]:
    return [f"{TALK}{example.talk or 'unclear'}" if tool == REPLY else tool for tool in example.tools]


def _tool(label: str) -> str:
    return REPLY if label.startswith(TALK) else label


def _right(examples: Sequence[Example], labels: Sequence[str]) -> Floats:
    """Which labels are right, as `losses` reads it: an ambiguous sentence's labels share the 1, of `any_of` each has it."""
    return np.array(
        [
            [(label in right) / (1 if example.any_of else len(right)) for label in labels]
            for example, right in zip(examples, map(_labels, examples), strict=True)
        ],
        dtype=np.float32,
    )


def _tuned(
    encoder: TextEncoder,
    examples: Sequence[Example],
    labels: Sequence[str],
    plan: Plan,
    begun: Sequence[Mapping[str, torch.Tensor]] | None,
    checkpoints: Path,
    tell: Tell,
) -> list[dict[str, torch.Tensor]]:
    situations = [Situation.of(example) for example in examples]
    right = _right(examples, labels)
    tuned = []
    for member in range(MEMBERS):

        def told(share: float, what: str, member: int = member) -> None:
            tell((member + share) / MEMBERS, f"encoder {member + 1} of {MEMBERS}, {what}")

        its_plan = replace(plan, seed=plan.seed + member)
        its_begin = begun[member] if begun else None
        tuned.append(_tune(encoder, examples, situations, right, its_plan, its_begin, checkpoints, told))
    return tuned


def _tune(
    encoder: TextEncoder,
    examples: Sequence[Example],
    situations: Sequence[Situation],
    right: Floats,
    plan: Plan,
    begun: Mapping[str, torch.Tensor] | None,
    checkpoints: Path,
    tell: Tell,
) -> dict[str, torch.Tensor]:
    """The LoRA's and the head's tensors, as `Tuned` reads them."""
    torch.manual_seed(plan.seed)
    model = with_lora(encoder, RANK, ALPHA)
    head = torch.nn.Linear(encoder.dimensions, right.shape[1])
    if begun is not None:
        _put(begun, model, head)
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    pace_of_all = 1.0 if begun is None else GOING_ON
    optimizer = torch.optim.AdamW(
        [
            {"params": learnt, "peak": LEARNING_RATE * pace_of_all},
            {"params": head.parameters(), "peak": HEAD_LEARNING_RATE * pace_of_all},
        ],
        lr=0.0,
    )
    target = torch.from_numpy(right)
    steps_per_epoch = math.ceil(len(examples) / BATCH)
    steps = steps_per_epoch * plan.epochs
    before = _digest(begun) if begun is not None else ""
    state = _Checkpoint(checkpoints, f"{digest_of(examples)} {encoder.fingerprint} {plan} {before}")
    begin = state.load(model, head, optimizer)
    model.train()
    for epoch in range(begin, plan.epochs):
        rng = random.Random(f"{plan.seed} {epoch}")
        torch.manual_seed(plan.seed * 1000 + epoch)
        said = [
            noisy(example.say, situation.language, rng) if rng.random() < plan.noise else example.say
            for example, situation in zip(examples, situations, strict=True)
        ]
        ids = token_ids(encoder, said, situations)
        for number, batch in enumerate(_batches(ids, rng)):
            step = epoch * steps_per_epoch + number
            pace = min(1.0, (step + 1) / (WARM_UP * steps)) * max(0.02, 0.5 * (1 + math.cos(math.pi * step / steps)))
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * pace
            with torch.autocast("cpu", torch.bfloat16, enabled=HALF):
                pooled = encoder.pooled(model, [ids[index] for index in batch])
            pooled = torch.nn.functional.dropout(normal(pooled.float()), 0.1)
            loss = losses(head(pooled).log_softmax(-1), target[batch], SMOOTHING).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_([*learnt, *head.parameters()], 1.0)
            optimizer.step()
            tell((step + 1) / steps, f"epoch {epoch + 1} of {plan.epochs}, loss {loss.item():.2f}")
        state.save(model, head, optimizer, epoch + 1)
    return {f"head.{name}": tensor.detach().clone() for name, tensor in head.named_parameters()} | lora_tensors(model)


def _batches(ids: Sequence[Sequence[int]], rng: random.Random) -> list[list[int]]:
    """All sentences in random order, like lengths together within a stretch of twenty batches: little of a batch is padding."""
    order = list(range(len(ids)))
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), BATCH * 20):
        stretch = sorted(order[start : start + BATCH * 20], key=lambda index: len(ids[index]))
        batches += [stretch[at : at + BATCH] for at in range(0, len(stretch), BATCH)]
    rng.shuffle(batches)
    return batches


def with_lora(encoder: TextEncoder, rank: int, alpha: int) -> torch.nn.Module:
    """The encoder's model with upper layers of its own, of which only low-rank additions learn."""
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=["query", "key", "value", "dense"],
        layers_to_transform=list(range(FIRST_LAYER, len(encoder.model.encoder.layer))),
        layers_pattern="layer",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name of yesterday
        model: torch.nn.Module = get_peft_model(upper_copy(encoder), config)
    return model


def lora_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of what learns in a model of `with_lora`, by the names that `merged` reads."""
    return {_plain_name(name): tensor.detach().clone() for name, tensor in model.named_parameters() if tensor.requires_grad}


def _begun(
    plan: Plan, labels: Sequence[str], encoder: TextEncoder
) -> tuple[Sequence[Mapping[str, torch.Tensor]] | None, set[str]]:
    """The tuned encoders to go on from, and the writers whom they have read."""
    assert plan.begin
    tensors, card = load(plan.begin)
    fits = (card["labels"], card["encoder"], card["members"]) == (list(labels), encoder.fingerprint, MEMBERS)
    if not fits or set(card["writers"]) & set(plan.held_out):
        raise OperatorError(
            f"'{plan.begin}' cannot be gone on from: it is for other labels or another text encoder, or has read "
            f'{", ".join(plan.held_out)}; run "storehand train chooser --fresh".'
        )
    return [of_member(tensors, member) for member in range(MEMBERS)], set(card["writers"])


def _put(begun: Mapping[str, torch.Tensor], model: torch.nn.Module, head: torch.nn.Linear) -> None:
    """Write what was learnt before into what learns now."""
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            parameter.copy_(begun[f"head.{name}"])
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(begun[_plain_name(name)])


def _plain_name(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".default.weight", "")


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    whole = hashlib.sha256()
    for name in sorted(tensors):
        whole.update(tensors[name].float().numpy().tobytes())
    return whole.hexdigest()[:16]


class _Checkpoint:
    """The last whole epoch of a round, as one file; a round with other examples or another plan has another file."""

    def __init__(self, folder: Path, what: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"chooser-{hashlib.sha256(what.encode()).hexdigest()[:16]}.pt"

    def load(self, model: torch.nn.Module, head: torch.nn.Linear, optimizer: torch.optim.Optimizer) -> int:
        """Put the state back; returns how many epochs are done."""
        if not self._path.exists():
            return 0
        kept = torch.load(self._path, weights_only=True)
        model.load_state_dict(kept["model"], strict=False)
        head.load_state_dict(kept["head"])
        optimizer.load_state_dict(kept["optimizer"])
        return int(kept["epochs"])

    def save(self, model: torch.nn.Module, head: torch.nn.Linear, optimizer: torch.optim.Optimizer, epochs: int) -> None:
        """Write the state, whole or not at all."""
        learnt = {name: tensor for name, tensor in model.state_dict().items() if "lora_" in name}
        partial = self._path.with_suffix(".partial")
        torch.save({"model": learnt, "head": head.state_dict(), "optimizer": optimizer.state_dict(), "epochs": epochs}, partial)
        partial.replace(self._path)


def _predict(
    encoder: TextEncoder, tensors: Sequence[dict[str, torch.Tensor]], linear: Linear, examples: Sequence[Example]
) -> tuple[list[Floats], Floats]:
    """The shares of each tuned encoder, and of the linear classifier, for the examples: examples × labels each."""
    situations = [Situation.of(example) for example in examples]
    sentences = [example.say for example in examples]
    tuned = []
    for its in tensors:
        member = Tuned(encoder, its, ALPHA / RANK)
        parts = [slice(start, start + BATCH) for start in range(0, len(sentences), BATCH)]
        tuned.append(np.concatenate([member.shares(sentences[part], situations[part]) for part in parts]))
    vectors = encoder.queries(sentences)
    return tuned, np.stack([linear.shares(*each) for each in zip(sentences, vectors, situations, strict=True)])


def _joined(tuned: Floats, linear: Floats, examples: Sequence[Example], labels: Sequence[str]) -> tuple[float, float]:
    """The weight and temperature under which the right labels are likeliest."""
    right = torch.from_numpy(_right(examples, labels))

    def loss(weight: float, temperature: float) -> float:
        return float(losses(torch.from_numpy(join(tuned, linear, weight, temperature)).log(), right).mean())

    tried = [(weight / 20, temperature / 20) for weight in range(0, 21) for temperature in range(6, 41)]
    return min(tried, key=lambda each: loss(*each))
