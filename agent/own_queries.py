"""A text encoder's queries as one shop's customers mean them: a low-rank change (LoRA) in its upper layers, for queries alone.

What can be found keeps its vectors: the index, the rules and the chooser stay as they are, and the file concerns one shop only.
`storehand train words` writes it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from agent.chooser.tuned import MOST_TOKENS, merged
from tools.catalog.text_encoder import QUERY_PREFIX, TextEncoder
from tools.kit.errors import OperatorError


class OwnQueries:
    """Vectors of queries. Any thread may call it."""

    def __init__(self, encoder: TextEncoder, file: Path) -> None:
        """Raises OperatorError if the file cannot be read, or was made for another text encoder."""
        mend = 'run "storehand train words" again, or delete it'
        try:
            with safe_open(file, "pt") as opened:
                metadata = opened.metadata() or {}
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # no mapping
        except (OSError, SafetensorError) as error:
            raise OperatorError(f"'{file}' cannot be read as a shop's own words ({error}); {mend}.") from error
        if metadata.get("encoder") != encoder.fingerprint:
            raise OperatorError(f"'{file}' was made for another text encoder than the one that is loaded; {mend}.")
        self._encoder = encoder
        self._model = merged(encoder, tensors, float(metadata["scale"]))

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of the texts: shape (len(texts), dimensions), unit length."""
        with torch.inference_mode():
            pooled = self._encoder.pooled(self._model, query_ids(self._encoder, texts))
            vectors: NDArray[np.float32] = torch.nn.functional.normalize(pooled).numpy()
        return vectors


def query_ids(encoder: TextEncoder, texts: Sequence[str]) -> list[list[int]]:
    """What the encoder reads of each query."""
    return encoder.token_ids([QUERY_PREFIX + text.strip() for text in texts], MOST_TOKENS)
