"""What a photo's nearest pictures make the customer hear; how near they are is said here, not measured."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from demo_shop import DemoShop
from PIL import Image

from tools.catalog.index import Hit
from tools.identify_product import CLEAR_LEAD, LIKELY, NAMED_FROM, SURE, identify_product
from tools.kit.facts import Facts
from tools.kit.tool import ToolContext

SHOP = DemoShop()
FIRST, SECOND, THIRD = list(SHOP.stocked)[:3]
PHOTO = Image.new("RGB", (8, 8))


def told(*cosines: float, photo: Image.Image | None = PHOTO) -> Facts:
    """What the tool says where the first products of the shop are so near to the photo."""
    hits = [Hit(product_id, cosine) for product_id, cosine in zip(SHOP.stocked, cosines, strict=False)]
    context = ToolContext(
        shop=cast(Any, SHOP),
        catalog=cast(Any, SimpleNamespace(identify=lambda photo, limit: hits[:limit])),
        clock=lambda: datetime(2026, 11, 20, tzinfo=UTC),
        language="en",
        customer_id=None,
        said="",
        photo=photo,
    )
    tool: Any = identify_product
    _, artifact = tool.func(runtime=SimpleNamespace(context=context))
    return Facts.model_validate(artifact)


def test_a_product_that_is_clearly_nearest_is_named_alone() -> None:
    facts = told(NAMED_FROM + 0.01, NAMED_FROM - CLEAR_LEAD, LIKELY)
    assert facts.product_ids == (FIRST,)
    assert facts.facts[0].source == f"photo:{FIRST}"


def test_the_only_one_that_is_like_the_photo_is_not_named_for_certain_where_it_is_not_near() -> None:
    facts = told(NAMED_FROM - 0.01, LIKELY - 0.2)
    assert facts.product_ids == (FIRST,)
    assert "not certain" in facts.facts[0].text


@pytest.mark.parametrize("best", [LIKELY + 0.01, SURE - 0.01])
def test_products_that_are_as_near_are_asked_between(best: float) -> None:
    facts = told(best, best - 0.001, best - 0.002, best - 0.003)
    assert facts.product_ids == (FIRST, SECOND, THIRD)
    assert "not certain" in facts.facts[0].text


def test_the_same_picture_is_named_beside_one_that_is_almost_the_same() -> None:
    assert told(SURE + 0.01, SURE).product_ids == (FIRST,)


def test_two_products_with_the_same_picture_are_asked_between() -> None:
    assert told(1.0, 1.0, 0.1).product_ids == (FIRST, SECOND)


def test_what_is_near_to_nothing_is_not_ours() -> None:
    facts = told(LIKELY - 0.01, LIKELY - 0.2)
    assert facts.outcome == "nothing_found"
    assert facts.product_ids == ()


def test_no_photo_is_asked_for() -> None:
    assert "do not see a photo" in (told(0.9, photo=None).reply or "")
