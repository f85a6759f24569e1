"""What a sentence looks like, whatever it means: its words and pieces of words."""

import re
from itertools import pairwise


def grams(sentence: str) -> set[str]:
    """Words and word pairs, three to five letters of English, one to three Chinese characters; every number is the same."""
    text = re.sub(r"\d+", "0", sentence.lower())
    words = re.findall(r"[a-z']+|0|[\u4e00-\u9fff]", text)
    found = [f"w{word}" for word in words] + [f"b{one}_{other}" for one, other in pairwise(words)]
    spaced = f" {' '.join(words)} "
    found += [f"c{spaced[i : i + size]}" for size in (3, 4, 5) for i in range(len(spaced) - size + 1)]
    if re.search(r"[\u4e00-\u9fff]", text):
        joined = re.sub(r"\s+", "", text)
        found += [f"z{joined[i : i + size]}" for size in (1, 2, 3) for i in range(len(joined) - size + 1)]
    return set(found)
