"""Which tool does a message ask for? Two classifiers' evidence, joined and calibrated.

Tuned encoders know meanings, the linear classifier words; they err on different sentences. All are fitted by
`storehand train chooser` on prompts/examples/ and kept in one file, with what joins them. See MODEL_CARD.md beside it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from agent.chooser.evidence import Evidence
from agent.chooser.linear import Linear
from agent.chooser.situation import Situation
from agent.chooser.tuned import Tuned
from agent.examples import REPLY
from tools.kit.errors import OperatorError
from tools.shop.types import Language

if TYPE_CHECKING:
    from agent.examples import Before
    from tools.catalog.text_encoder import TextEncoder

SHIPPED = Path(__file__).with_name("chooser.safetensors")
TALK = f"{REPLY}:"
"""Labels of small talk begin with this: "reply:thanks"."""
_LEAST = 1e-6


class Chooser:
    """Reads a message as code should understand it. Any thread may call it."""

    def __init__(self, encoder: "TextEncoder", path: Path = SHIPPED) -> None:
        """Load what `storehand train chooser` wrote. Raises OperatorError where it is unreadable or made for another text encoder."""
        tensors, self.card = load(path)
        if self.card["encoder"] != encoder.fingerprint:
            raise OperatorError(
                f"'{path}' was trained for another text encoder than the one in the settings (encoders.text); "
                'run "storehand train chooser" with these settings.'
            )
        self._encoder = encoder
        self._labels: list[str] = self.card["labels"]
        self._tuned = [
            Tuned(encoder, of_member(tensors, member), float(self.card["lora_scale"])) for member in range(self.card["members"])
        ]
        self._linear = Linear(*(tensors[f"linear.{name}"].float().numpy() for name in ("mean", "weights", "bias")))

    def look_up(self, said: str, language: Language, *, before: "Before | None", photo: bool) -> Evidence:
        """What the message asks for, in the situation it was said in."""
        return self.look_up_by("joined", said, Situation(language, before, photo))

    def look_up_by(self, part: Literal["joined", "tuned", "linear"], said: str, situation: Situation) -> Evidence:
        """The same by one of the two classifiers alone, uncalibrated, or by both as `look_up` does."""
        if part == "tuned":
            return evidence_of(self._by_meaning(said, situation), self._labels)
        linear = self._linear.shares(said, self._encoder.queries([said])[0], situation)
        if part == "linear":
            return evidence_of(linear, self._labels)
        tuned = self._by_meaning(said, situation)
        return evidence_of(join(tuned, linear, self.card["tuned_weight"], self.card["temperature"]), self._labels)

    def _by_meaning(self, said: str, situation: Situation) -> NDArray[Any]:
        shares: NDArray[Any] = np.mean([each.shares([said], [situation])[0] for each in self._tuned], axis=0)
        return shares


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """A chooser's tensors by name, and its card. Raises OperatorError where the file is unreadable."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, json.loads((file.metadata() or {})["card"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise OperatorError(f"'{path}' is no chooser ({error}); make one with \"storehand train chooser\".") from error


def of_member(tensors: Mapping[str, torch.Tensor], member: int) -> dict[str, torch.Tensor]:
    """One tuned encoder's tensors, as `Tuned` reads them."""
    begin = f"{member}."
    return {name.removeprefix(begin): tensor for name, tensor in tensors.items() if name.startswith(begin)}


def join(tuned: NDArray[Any], linear: NDArray[Any], tuned_weight: float, temperature: float) -> NDArray[Any]:
    """Both classifiers' shares as one: their weighted mean, made as sure as it is right. Shape (…, labels), rows adding up to 1."""
    mean = tuned_weight * tuned + (1 - tuned_weight) * linear
    odds = np.maximum(mean, _LEAST) ** (1 / temperature)
    shares: NDArray[Any] = odds / odds.sum(axis=-1, keepdims=True)
    return shares


def evidence_of(shares: NDArray[Any], labels: list[str]) -> Evidence:
    """Labels as tools: all small talk together is "reply"."""
    tools: dict[str, float] = {}
    talk = {
        label.removeprefix(TALK): float(share) for label, share in zip(labels, shares, strict=True) if label.startswith(TALK)
    }
    for label, share in zip(labels, shares, strict=True):
        tool = REPLY if label.startswith(TALK) else label
        tools[tool] = tools.get(tool, 0.0) + float(share)
    return Evidence(dict(sorted(tools.items(), key=lambda item: -item[1])), max(talk, key=lambda kind: talk[kind]))


def save(path: Path, tensors: Mapping[str, torch.Tensor], card: Mapping[str, Any]) -> None:
    """Write a chooser, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(dict(tensors), partial, {"card": json.dumps(card)})
    partial.chmod(0o644)
    partial.replace(path)
