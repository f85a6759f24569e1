"""Texts as vectors: multilingual-e5 (or a model of its kind) through transformers, on the CPU in fp32."""

import hashlib
import json
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from tools.kit.errors import WeightsUnavailable

QUERY_PREFIX, PASSAGE_PREFIX = "query: ", "passage: "
MAX_TOKENS = 512
BATCH_TOKENS = 2048
"""Tokens of one forward pass, padding included; more needs more memory and is no faster on a CPU."""


class TextEncoder:
    """Turns what customers write and what the shop wrote into vectors that can be compared.

    Any thread may call it. Source: Wang et al. 2024, arXiv:2402.05672 (prefixes, mean pooling, unit length).
    """

    def __init__(self, folder: Path) -> None:
        """Load a transformers folder (safetensors, config, tokenizer). Raises WeightsUnavailable if there is none."""
        self._weights = folder / "model.safetensors"
        if not self._weights.is_file():
            raise WeightsUnavailable(f"no text encoder in '{folder}': model.safetensors is missing; run \"storehand weights\".")
        disable_progress_bar()  # type: ignore[no-untyped-call]  # it would break into the conversation on the terminal
        # A literal "<mask>" in a customer's text is text.
        self._tokenizer = _load_tokenizer(folder)
        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False).eval()
        self._tokenizing = threading.Lock()  # padding and truncation are state of the tokenizer

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return int(self.model.config.hidden_size)

    @cached_property
    def fingerprint(self) -> str:
        """Names the weights and the way they are used: vectors compare only under the same fingerprint."""
        with self._weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(f"{QUERY_PREFIX}|{PASSAGE_PREFIX}|mean|{MAX_TOKENS}".encode())
        return f"text-{digest.hexdigest()[:16]}"

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of what somebody looks for: shape (len(texts), dimensions), unit length."""
        return self._encode([QUERY_PREFIX + text.strip() for text in texts])

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of what can be found: shape (len(texts), dimensions), unit length."""
        return self._encode([PASSAGE_PREFIX + text.strip() for text in texts])

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        ids = self.token_ids(texts)
        by_length = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        while by_length:
            # Texts of like length together, so that little of a batch is padding.
            count = max(1, BATCH_TOKENS // len(ids[by_length[-1]]))
            batch, by_length = by_length[-count:], by_length[:-count]
            with torch.inference_mode():
                vectors[batch] = torch.nn.functional.normalize(self.pooled(self.model, [ids[index] for index in batch])).numpy()
        return vectors

    def token_ids(self, texts: Sequence[str], most: int = MAX_TOKENS) -> list[list[int]]:
        """The tokens of each text as they stand (no prefix is added), cut at `most`."""
        with self._tokenizing:
            return self._tokenizer(list(texts), truncation=True, max_length=most)["input_ids"] if texts else []

    def pooled(self, model: torch.nn.Module, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """The mean of `model`'s last hidden states over each text's tokens: shape (texts, dimensions).

        `model` is this encoder's own, or one made from it.
        """
        longest = max(map(len, ids))
        tokens = torch.full((len(ids), longest), int(self._tokenizer.pad_token_id))
        mask = torch.zeros((len(ids), longest), dtype=torch.long)
        for row, sequence in enumerate(ids):
            tokens[row, : len(sequence)] = torch.tensor(sequence)
            mask[row, : len(sequence)] = 1
        hidden: torch.Tensor = model(input_ids=tokens, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1)


def _load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The folder's tokenizer; its file is parsed once where AutoTokenizer, which also knows older forms, does so three times."""
    config, file = folder / "tokenizer_config.json", folder / "tokenizer.json"
    values = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    if values.pop("tokenizer_class", None) != "PreTrainedTokenizerFast" or not file.is_file():
        loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, split_special_tokens=True)
        return loaded
    return PreTrainedTokenizerFast(tokenizer_file=str(file), **{**values, "split_special_tokens": True})  # type: ignore[no-untyped-call]
