"""The control tokens of a GGUF model, like <|im_start|>: text from outside must never spell one."""

import mmap
import re
import struct
from pathlib import Path
from typing import Any

from tools.kit.errors import ModelFailed

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_CONTROL, _USER_DEFINED = 3, 4
"""Both kinds are recognised inside any text: <|im_end|> is of the first, <tool_call> of the second."""


def control_token_pattern(path: Path) -> re.Pattern[str]:
    """A pattern that matches every control token of the model in `path`; the longest first.

    Reads only the file's header. Raises ModelFailed where this is no GGUF file or has no vocabulary.
    Source: the GGUF specification, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            metadata = _Header(data).read("tokenizer.ggml.tokens", "tokenizer.ggml.token_type")
    except (OSError, ValueError, OverflowError, struct.error, KeyError) as error:
        raise ModelFailed(f"'{path}' is no readable GGUF model ({error!r}); fetch it again.") from error
    kinds = zip(metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"], strict=True)
    # A user-defined token of one character (DeepSeek has digits) borders nothing, and breaking it would garble every number.
    tokens = [token for token, kind in kinds if kind in (_CONTROL, _USER_DEFINED) and len(token) > 2 and not token.isspace()]
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or r"(?!)")


class _Header:
    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0

    def read(self, *keys: str) -> dict[str, Any]:
        """The values of `keys`; raises KeyError for one that the header lacks."""
        if self._data[:4] != b"GGUF":
            raise ValueError("it does not begin with GGUF")
        self._at = 8
        _, pairs = self._scalar("Q"), self._scalar("Q")
        found: dict[str, Any] = {}
        for _ in range(pairs):
            key = self._string()
            value = self._value(self._scalar("I"))
            if key in keys:
                found[key] = value
            if len(found) == len(keys):
                break  # what follows, the merges, is the larger half
        return {key: found[key] for key in keys}

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._scalar(_SCALARS[kind])
        kind, count = self._scalar("I"), self._scalar("Q")
        if kind in _SCALARS:
            return self._scalars(_SCALARS[kind], count)
        return [self._value(kind) for _ in range(count)]

    def _scalars(self, code: str, count: int) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{count}{code}", self._data, self._at)
        self._at += struct.calcsize(f"<{count}{code}")
        return values

    def _scalar(self, code: str) -> Any:
        return self._scalars(code, 1)[0]

    def _string(self) -> str:
        size = self._scalar("Q")
        start, self._at = self._at, self._at + size
        return self._data[start : self._at].decode("utf-8", errors="replace")
