"""A chat model that is small enough to train in a test: random weights and a tokenizer of bytes, as a GGUF file."""

from pathlib import Path

import gguf
import numpy as np
import pytest

WIDTH, HEADS, KEYS, WIDE, LAYERS = 64, 4, 2, 96, 3
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def byte_letters() -> list[str]:
    """The 256 letters by which GPT-2's tokenizer, and Qwen's, writes bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 of 0.2 million float32 weights, about 1 MB, that transformers and llama.cpp both read."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    pairs = [("t", "o"), ("Ġ", "t"), ("e", "r"), ("to", "o"), ("too", "l")]
    tokens = [*byte_letters(), *("".join(pair) for pair in pairs), "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("tiny")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEYS)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_token_types([control if token.startswith("<|") else normal for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in pairs])
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_pad_token_id(len(tokens) - 3)
    writer.add_bos_token_id(len(tokens) - 3)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)

    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> None:
        made = np.ones(shape) if name.endswith("norm.weight") else rng.normal(0, 0.08, shape)
        writer.add_tensor(name, made.astype(np.float32))

    head = WIDTH // HEADS
    weight("token_embd.weight", len(tokens), WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name, rows in (("q", WIDTH), ("k", KEYS * head), ("v", KEYS * head)):
            weight(f"{block}.attn_{name}.weight", rows, WIDTH)
            weight(f"{block}.attn_{name}.bias", rows)
        weight(f"{block}.attn_output.weight", WIDTH, WIDTH)
        weight(f"{block}.ffn_gate.weight", WIDE, WIDTH)
        weight(f"{block}.ffn_up.weight", WIDE, WIDTH)
        weight(f"{block}.ffn_down.weight", WIDTH, WIDE)
        weight(f"{block}.attn_norm.weight", WIDTH)
        weight(f"{block}.ffn_norm.weight", WIDTH)
    weight("output_norm.weight", WIDTH)
    weight("output.weight", len(tokens), WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
