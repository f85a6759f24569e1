"""The meaning's part of the chooser: the text encoder with a low-rank change (LoRA) in its upper layers, and a head.

Source of LoRA: Hu et al. 2021, arXiv:2106.09685. Embeddings and lower layers are those of the encoder that search uses, in the same
memory; only the upper layers are a copy.
"""

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from agent.chooser.situation import Situation
from tools.catalog.text_encoder import QUERY_PREFIX, TextEncoder

FIRST_LAYER = 6
"""Layers below learn nothing; with all twelve learning, the same sentences were right and a step took twice the time."""
MOST_TOKENS = 96
"""Of a message; what a customer wants is said by then, and a longer one would cost the others their speed."""


class Tuned:
    """Shares of the labels for sentences in their situations. Any thread may call it."""

    def __init__(self, encoder: TextEncoder, tensors: Mapping[str, torch.Tensor], scale: float) -> None:
        """`tensors` holds "head.weight" (labels × dimensions), "head.bias", and "<layer's path>.lora_A" / ".lora_B" pairs."""
        self._encoder = encoder
        self._model = merged(encoder, tensors, scale)
        self._head = tensors["head.weight"].float(), tensors["head.bias"].float()

    def shares(self, sentences: Sequence[str], situations: Sequence[Situation]) -> NDArray[np.float32]:
        """The probability of each label: shape (len(sentences), labels), each row adding up to 1."""
        with torch.inference_mode():
            pooled = self._encoder.pooled(self._model, token_ids(self._encoder, sentences, situations))
            scores = torch.nn.functional.linear(normal(pooled), *self._head)
        result: NDArray[np.float32] = scores.softmax(-1).numpy()
        return result


def token_ids(encoder: TextEncoder, sentences: Sequence[str], situations: Sequence[Situation]) -> list[list[int]]:
    """What the tuned encoder reads of each sentence."""
    marked = [QUERY_PREFIX + situation.marked(sentence) for sentence, situation in zip(sentences, situations, strict=True)]
    return encoder.token_ids(marked, MOST_TOKENS)


def normal(pooled: torch.Tensor) -> torch.Tensor:
    """What the head reads: mean 0 and variance 1 over the dimensions of each sentence."""
    return torch.nn.functional.layer_norm(pooled, pooled.shape[-1:])


def merged(encoder: TextEncoder, tensors: Mapping[str, torch.Tensor], scale: float) -> torch.nn.Module:
    """The encoder's model with what was learnt added to its upper layers; `tensors` holds "<layer's path>.lora_A" / ".lora_B" pairs."""
    model = upper_copy(encoder)
    modules = dict(model.named_modules())
    for name, down in tensors.items():
        if name.endswith(".lora_A"):
            path = name.removesuffix(".lora_A")
            with torch.no_grad():
                modules[path].weight += scale * tensors[f"{path}.lora_B"].float() @ down.float()
    return model


def upper_copy(encoder: TextEncoder) -> torch.nn.Module:
    """The encoder's model with upper layers of its own; embeddings (most of its memory) and lower layers are shared."""
    shared = [encoder.model.embeddings, *encoder.model.encoder.layer[:FIRST_LAYER]]
    made: torch.nn.Module = copy.deepcopy(encoder.model, {id(module): module for module in shared})
    return made
