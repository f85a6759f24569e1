"""Long texts in pieces: an encoder's vector of a long text says little about any part of it."""

import re

PASSAGE_CHARACTERS = 600
"""A clause as shops write them is one passage."""


def passages(text: str) -> list[str]:
    """The text in pieces of about PASSAGE_CHARACTERS, cut between paragraphs and list items; a longer one of these stays whole."""
    pieces: list[str] = []
    for paragraph in re.split(r"\n\s*\n|\n(?=[-#*\d])", text):
        if pieces and len(pieces[-1]) + len(paragraph) <= PASSAGE_CHARACTERS:
            pieces[-1] = f"{pieces[-1]}\n{paragraph}".strip()
        else:
            pieces.append(paragraph.strip())
    return [piece for piece in pieces if piece] or [text]


def sentences(text: str) -> list[str]:
    """The sentences of a text, English or Chinese."""
    return [found for piece in re.split(r"(?<=[.!?;])\s+|(?<=[。！？；])|\n+", text) if (found := piece.strip())]
