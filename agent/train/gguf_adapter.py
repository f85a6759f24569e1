"""A trained LoRA as the file that llama.cpp loads beside a GGUF model.

Layout: `general.type` = "adapter", `adapter.type` = "lora", `adapter.lora.alpha`; for each weight W of shape (out, in) that learnt,
`NAME.weight.lora_a` of shape (rank, in) and `NAME.weight.lora_b` of shape (out, rank) in F16. llama.cpp adds
alpha ÷ rank · (B · A) to W. Source: llama.cpp's llama-adapter.cpp and convert_lora_to_gguf.py.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tools.kit.errors import OperatorError

if TYPE_CHECKING:
    import torch

ARCHITECTURES = ("qwen2", "qwen3")
"""Whose weights lie in a GGUF file as transformers has them. Llama's queries and keys are permuted there, which is not done here."""

_WEIGHT = re.compile(r"(?:.*\.)?(model\.layers\.(\d+)\..+)\.lora_([AB])(?:\.default)?\.weight")


def write_gguf_adapter(
    path: Path, weights: Mapping[str, "torch.Tensor"], *, architecture: str, layers: int, alpha: float, name: str
) -> None:
    """Write peft's LoRA `weights`, by their names in the model, for a base of `architecture` with `layers` layers.

    The file is there whole or not at all. Raises OperatorError for an architecture that is not in ARCHITECTURES, and for weights
    that have no place in the file.
    """
    import gguf

    if architecture not in ARCHITECTURES:
        raise OperatorError(
            f"an adapter for '{architecture}' cannot be written for llama.cpp; train one of {', '.join(ARCHITECTURES)}."
        )
    kind = next(number for number, its_name in gguf.MODEL_ARCH_NAMES.items() if its_name == architecture)
    names = gguf.get_tensor_name_map(kind, layers)
    part = path.with_suffix(".part")
    writer = gguf.GGUFWriter(part, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(name)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    for weight, tensor in weights.items():
        found = _WEIGHT.fullmatch(weight)
        base = names.get_name(found[1]) if found else None
        if found is None or base is None:
            raise OperatorError(
                f"'{weight}' has no place in a GGUF adapter; train the attention and feed-forward weights only."
            )
        writer.add_tensor(f"{base}.weight.lora_{found[3].lower()}", tensor.detach().float().cpu().numpy().astype("float16"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(path)
