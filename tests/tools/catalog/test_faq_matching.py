from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.catalog.faq import Faq

ANSWERS = {
    "returns": ("can I return this dress", "I want to send my order back", "how do returns work", "return the shoes please"),
    "delivery": ("when will my parcel arrive", "how long does delivery take", "has the parcel been shipped", "delivery time"),
    "payment": ("can I pay by card", "do you take paypal", "payment by invoice", "which cards do you take to pay"),
    "sizes": ("which size fits me", "is there a size chart", "does size M fit 170 cm", "size of the trousers"),
    "hours": ("when is your shop open", "opening hours on sunday", "are you open at night", "until when are you open"),
    "warranty": ("how long is the warranty", "is there a guarantee", "warranty on the kettle", "guarantee certificate"),
}


def meaning(sentences: Sequence[str]) -> NDArray[np.float32]:
    """Stands in for the encoder: sentences with the same letters mean nearly the same."""
    counted = np.array([[sentence.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for sentence in sentences]) + 0.1
    return (counted / np.linalg.norm(counted, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def faq() -> Faq:
    said = [(sentence, label) for label, sentences in ANSWERS.items() for sentence in sentences]
    return Faq([sentence for sentence, _ in said], [label for _, label in said], meaning([sentence for sentence, _ in said]))


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("can i return the dress", "returns"),
        ("how long is the delivry time", "delivery"),
        ("do you take cards to pay", "payment"),
    ],
)
def test_a_sentence_like_the_examples_gets_their_answer(faq: Faq, said: str, label: str) -> None:
    match = faq.match(said, meaning([said])[0])
    assert match.label == label
    assert match.answers


@pytest.mark.parametrize("said", ["tell me a joke about zebras", "谢谢你"])
def test_a_sentence_unlike_all_examples_gets_no_answer(faq: Faq, said: str) -> None:
    assert not faq.match(said, meaning([said])[0]).answers


def test_chinese_sentences_are_told_apart_by_their_characters() -> None:
    said = {
        "退货": "怎么退货 可以退货吗 退货要几天",
        "快递": "快递到哪了 快递几天到 发什么快递",
        "发票": "能开发票吗 发票抬头 要发票",
    }
    said |= {"尺码": "尺码怎么选 有尺码表吗 尺码偏大吗", "优惠": "有优惠吗 优惠券怎么用 优惠到几号"}
    examples = [(sentence, label) for label, sentences in said.items() for sentence in sentences.split()]
    faq = Faq([s for s, _ in examples], [label for _, label in examples], meaning([s for s, _ in examples]))
    for asked, label in (("我想退货", "退货"), ("请问发票怎么开", "发票"), ("优惠券能用吗", "优惠")):
        assert faq.match(asked, meaning([asked])[0]).label == label


def test_too_few_answers_to_learn_a_line_from_are_refused() -> None:
    with pytest.raises(ValueError, match="2 answers are too few"):
        Faq(["a", "b"], ["x", "y"], meaning(["a", "b"]))
