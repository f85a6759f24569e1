"""Advise a size: from the body, what the customer wears and kept, and what buyers write; or say that it cannot be known.

Every number is read from the customer's own words by code; the chat model only says which product is meant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from tools.catalog.index import Filters
from tools.kit.facts import Fact, Facts
from tools.kit.reading import mentions
from tools.kit.tool import Runtime, ToolContext, customer_tool
from tools.search_products import shown_product
from tools.shop.types import Product, SizeChart, SizeRow
from tools.sizes.body import GIRTHS, body_model, estimate_woman
from tools.sizes.charts import (
    TAPE_SD_MM,
    Measured,
    Odds,
    Place,
    chart_for,
    combined,
    is_shoe,
    made_for,
    measures_of,
    odds_of,
    place_of_body,
    place_of_size,
    place_on,
    sizes_of,
)
from tools.sizes.fit_words import verdict
from tools.sizes.reading import ADULT_YEARS, Audience, Doubt, Measure, Said, SaidSize, System, read_body

HIGH, MEDIUM = 0.75, 0.5
"""The odds from which an answer is called fairly sure, or likely."""
WORN_HERE_SD, WORN_SYSTEM_SD, WORN_ELSEWHERE_SD = 0.5, 0.5, 0.9
"""How far, in sizes, the right size may be from one worn in a brand we know, in an EU, UK, US, CN or JP size, in an unknown brand."""
KEPT_SAME_SD, KEPT_ALIKE_SD, KEPT_OTHER_SD = 0.4, 0.6, 0.8
"""The same for what was bought here and kept: this product, one of its chart, one of another chart. All of these are assumed."""
RETURNED_SHARE = 0.5
"""What is left of a size's odds if the customer sent it back: the reason is not recorded."""
WISH_SHIFT = 0.3
CANDIDATES = 8
LOOKED_BACK = 2
"""How many earlier messages may still name the product; each costs a search."""
NAMED_SHARE = 0.6
"""The share of a title's words that a customer must write to name it."""
_SYSTEMS: tuple[System, ...] = ("EU", "UK", "US", "CN", "JP")


@customer_tool
def advise_size(
    runtime: Runtime,
    product: Annotated[str | None, Field(description="number or name of the product, if one is meant", max_length=100)] = None,
) -> Facts:
    """Which size fits, from height, weight, body measurements, foot length or a size worn elsewhere; converts EU, UK, US, CN, JP sizes."""
    context = runtime.context
    meant = _meant_product(context, product)
    said = read_body(
        (*context.earlier, context.said),
        brands=_brands(context),
        titles=(meant.title.all() if meant else ()),
    )
    if meant is None:
        return _convert(context, said) or context.refuse("size_which_product", "catalogue")
    return _advise(context, meant, said)


def _brands(context: ToolContext) -> frozenset[str]:
    charts = {chart.brand for chart in context.shop.size_charts() if chart.brand}
    shown = {found.brand for each in context.shown if (found := context.shop.product(each)) and found.brand}
    return frozenset(charts | shown)


def _meant_product(context: ToolContext, named: str | None) -> Product | None:
    """The product shown or named, one of the customer's own orders too; else the only one shown, else the one named lately."""
    if known := shown_product(context, named):
        return known
    for text in (context.said, named):
        if text and (found := _named_in(context, text)):
            return found
    if len(context.shown) == 1:
        return context.shop.product(context.shown[0])
    for text in reversed(context.earlier[-LOOKED_BACK:]):
        if found := _named_in(context, text):
            return found
    return None


def _named_in(context: ToolContext, text: str) -> Product | None:
    """The product whose title, or most of it, the text holds; None if none or several."""
    ids = [hit.id for hit in context.catalog.search(text, context.language, Filters(), CANDIDATES)]
    ids += [item.product_id for _, item in _bought(context)]
    known = [found for each in dict.fromkeys(ids) if (found := context.shop.product(each))]
    # Who names a bag by its title is told that it has no sizes.
    whole = [each for each in known if any(mentions(text, title) for title in each.title.all())]
    candidates = [each for each in known if sizes_of(each)]
    if whole:
        return max(whole, key=lambda each: max(len(title) for title in each.title.all()))
    shares = {each.id: max(_share(title, text) for title in each.title.all()) for each in candidates}
    best = [each for each in candidates if shares[each.id] >= NAMED_SHARE and shares[each.id] == max(shares.values())]
    return best[0] if len(best) == 1 else None


def _share(title: str, text: str) -> float:
    """How much of a title the text holds: words of an English one, the longest piece of a Chinese one."""
    lowered = text.lower()
    if title.isascii():
        words = [word for word in title.lower().replace("-", " ").split() if len(word) > 2]
        there = lowered.replace("-", " ").split()
        return sum(word in {each.strip(".,?!;:") for each in there} for word in words) / len(words) if len(words) > 1 else 0.0
    longest = max(
        (end - start for start in range(len(title)) for end in range(start + 1, len(title) + 1) if title[start:end] in text),
        default=0,
    )
    return longest / len(title) if longest >= 4 else 0.0


def _bought(context: ToolContext) -> "Iterator[tuple[_Bought, _Item]]":
    """What the signed-in customer bought in a size: kept or sent back."""
    if context.customer_id is None:
        return
    for order in context.shop.orders_of(context.customer_id):
        kept = order.status == "delivered"
        sent_back = order.status in ("returned", "return_requested", "exchange_requested")
        if kept or sent_back:
            for item in order.items:
                if "size" in item.options:
                    yield (
                        _Bought(order_id=order.id, kept=kept),
                        _Item(item.product_id, item.options["size"], item.title.in_language(context.language)),
                    )


@dataclass(frozen=True)
class _Bought:
    order_id: str
    kept: bool


@dataclass(frozen=True)
class _Item:
    product_id: str
    size: str
    title: str


@dataclass
class _Case:
    """What is gathered for one answer: places on the chart, and the facts that tell where they come from."""

    context: ToolContext
    product: Product
    chart: SizeChart
    said: Said
    audience: Audience | None
    body: dict[Measure, Measured] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    reasons: list[Fact] = field(default_factory=list)
    sent_back: set[int] = field(default_factory=set)

    @property
    def chart_source(self) -> str:
        """The chart as a source."""
        return f"size-chart:{self.chart.id}"

    def tell(self, source: str, key: str, /, **values: object) -> None:
        """Add a reason."""
        self.reasons.append(Fact(text=self.context.phrase(key, **values), source=source))


def _advise(context: ToolContext, product: Product, said: Said) -> Facts:
    title = product.title.in_language(context.language)
    source = f"product:{product.id}"
    if not sizes_of(product):
        return _only(context, product, "size_no_sizes", source, title=title)
    if said.doubts:
        return _doubtful(context, product, said.doubts[0])
    who = made_for(product)
    audience: Audience | None = said.audience if who in ("unisex", None) else who  # type: ignore[assignment]
    chart = chart_for(context.shop.size_charts(), product, audience)
    if chart is None:
        return _only(context, product, "size_no_chart", source, title=title)
    case = _Case(context, product, chart, said, audience)
    held = _measure(case)
    _wear(case)
    opinion = verdict(context.shop.reviews_of(product.id))
    _remember(case, opinion.shift)
    if not case.places:
        if opinion.fit:
            case.tell(f"reviews:{product.id}", f"size_say_{opinion.fit}", count=opinion.count, remarks=opinion.remarks)
        return _asked(case, _ask(case, held))
    place = combined(case.places)
    assert place is not None
    if opinion.remarks and opinion.fit:
        case.tell(f"reviews:{product.id}", f"size_reviews_{opinion.fit}", count=opinion.count, remarks=opinion.remarks)
    wish = {"loose": WISH_SHIFT, "slim": -WISH_SHIFT}.get(said.wish or "", 0.0)
    odds = odds_of(chart, Place(place.at + wish, place.sd))
    for row in case.sent_back:
        odds = odds.doubted(row, RETURNED_SHARE)
    return _answer(case, odds)


def _only(context: ToolContext, product: Product, key: str, source: str, /, **values: object) -> Facts:
    text = context.phrase(key, **values)
    return Facts(facts=(Fact(text=text, source=source),), product_ids=(product.id,), reply=text, outcome="nothing_found")


def _doubtful(context: ToolContext, product: Product, doubt: Doubt) -> Facts:
    if doubt.quantity == "weight_unit":
        return _only(context, product, "size_unit_missing", "customer", written=doubt.written)
    what = context.phrase(f"size_{doubt.quantity}")
    return _only(context, product, "size_impossible", "customer", written=doubt.written, what=what)


def _centimetres(context: ToolContext, mm: float) -> str:
    number = f"{mm / 10:.1f}".removesuffix(".0")
    return f"{number} {'厘米' if context.language == 'zh' else 'cm'}"


def _range(context: ToolContext, low: float, high: float) -> str:
    short = [f"{mm / 10:.1f}".removesuffix(".0") for mm in (low, high)]
    return context.phrase("size_range", low=short[0], high=short[1])


def _listed(context: ToolContext, parts: list[str]) -> str:
    return ("、" if context.language == "zh" else ", ").join(parts)


def _named_measures(context: ToolContext, lengths: Mapping[Measure, str]) -> str:
    return _listed(context, [f"{context.phrase(f'size_{name}')} {length}" for name, length in lengths.items()])


def _measure(case: _Case) -> str:
    """Place the body on the chart; returns why there is no estimate where height and weight were told but are of no use, else ""."""
    context, said = case.context, case.said
    asked = measures_of(case.chart)
    given = {name: said.measures[name] for name in asked if name in said.measures}
    for name, mm in given.items():
        case.body[name] = Measured(mm, TAPE_SD_MM[name])
    for size in said.worn:
        # A Chinese label like 165/88A is a height and a chest.
        if "/" in size.size and "chest" in asked and "chest" not in case.body:
            given["chest"] = int(size.size.split("/")[1].rstrip("ABCY")) * 10
            case.body["chest"] = Measured(given["chest"], 2 * TAPE_SD_MM["chest"])
    if given:
        case.tell(
            "customer",
            "size_given",
            measures=_named_measures(context, {n: _centimetres(context, mm) for n, mm in given.items()}),
        )
    height, weight = said.measures.get("height"), said.weight_g
    held = ""
    needed = [girth for girth in GIRTHS if girth in asked and girth not in case.body]
    if needed and height and weight:
        held = _estimate(case, height, weight)
    if place := place_of_body(case.chart, case.body):
        case.places.append(place)
        if len(given) > 1 and not any(each.estimated for each in case.body.values()):
            rows = {round(place_of_body(case.chart, {name: case.body[name]}).at) for name in given}  # type: ignore[union-attr]
            if len(rows) > 1:
                case.tell(case.chart_source, "size_measures_differ")
    return held


def _estimate(case: _Case, height: int, weight: int) -> str:
    """Fill in the girths that the customer did not give; returns the key of the sentence that says why not."""
    context, model = case.context, body_model()
    # Who wears it, not whom it is made for: a daughter in a women's dress may be a child, a woman may buy a men's T-shirt.
    wearer = case.said.audience or case.audience
    adult_woman = wearer == "women" and (case.said.age_years is None or case.said.age_years >= ADULT_YEARS)
    if case.said.pregnant:
        return "size_not_pregnant"
    if not adult_woman:
        return "size_ask_who" if wearer is None else "size_women_only"
    estimates = estimate_woman(height, weight)
    if estimates is None:
        return "size_out_of_range"
    shown: dict[Measure, str] = {}
    for girth in GIRTHS:
        if girth in measures_of(case.chart) and girth not in case.body:
            each = estimates[girth]
            # The model's waist is measured at the navel, a chart's where it is narrowest.
            lower = model.navel_over_narrowest_mm if girth == "waist" else 0
            case.body[girth] = Measured(each.mm - lower, each.sd_mm, estimated=True)
            shown[girth] = _range(context, *(mm - lower for mm in each.interval_80))
    case.tell(
        "body-model",
        "size_estimated",
        height=_centimetres(context, height),
        weight=f"{weight / 1000:.1f}".removesuffix(".0"),
        measures=_named_measures(context, shown),
    )
    case.tell("body-model", "size_estimate_holds")
    return ""


def _wear(case: _Case) -> None:
    """Places from the sizes that the customer says to wear."""
    charts = case.context.shop.size_charts()
    for size in case.said.worn:
        if "/" in size.size:
            continue
        label = f"{size.system} {size.size}" if size.system else size.size
        known = _chart_of_brand(case, charts, size.brand) if size.brand else None
        own = _place_of_worn(case, charts, size) if known is None else None
        if known is not None:
            there = place_of_size(known, size)
            here = there if known.id == case.chart.id else None if there is None else place_on(case.chart, known, there)
            if here is not None:
                case.places.append(Place(here, WORN_HERE_SD))
                case.tell(f"size-chart:{known.id}", "size_worn_in", size=label, brand=size.brand)
        elif own is not None and size.brand:
            case.places.append(Place(own, WORN_ELSEWHERE_SD))
            case.tell("customer", "size_worn_unknown", size=label, brand=size.brand)
        elif own is not None:
            numbered = size.system is not None or is_shoe(case.product)
            case.places.append(Place(own, WORN_SYSTEM_SD if numbered else WORN_ELSEWHERE_SD))
            case.tell("customer", "size_worn", size=label)
            if size.system and size.system != "EU":
                case.tell(case.chart_source, "size_converted")


def _place_of_worn(case: _Case, charts: list[SizeChart], size: SaidSize) -> float | None:
    """Where a size lies, by the chart's own names, else by those of the chart for the same people: "US 8" on one for anybody."""
    if (own := place_of_size(case.chart, size)) is not None or size.system is None or case.audience is None:
        return own
    for chart in charts:
        shared = set(measures_of(chart)) & set(measures_of(case.chart))
        if chart.audience == case.audience and chart.brand is None and shared:
            there = place_of_size(chart, size)
            if there is not None and (here := place_on(case.chart, chart, there)) is not None:
                return here
    return None


def _chart_of_brand(case: _Case, charts: list[SizeChart], brand: str) -> SizeChart | None:
    """The chart of a brand that the shop sells, for the same kind of product and person; None for a brand it does not know."""
    ours = {chart.brand.casefold() for chart in charts if chart.brand} | {(case.product.brand or "").casefold()}
    if brand.casefold() not in ours - {""}:
        return None
    return chart_for(charts, case.product.model_copy(update={"brand": brand}), case.audience)


def _remember(case: _Case, shift: float) -> None:
    """Places from what the customer bought here; the buyers' verdict moves all but what is known of this very product."""
    case.places = [Place(place.at + shift, place.sd) for place in case.places]
    if case.said.person not in (None, "self"):
        return
    context, charts = case.context, case.context.shop.size_charts()
    kept: dict[float, list[Place]] = {}
    for order, item in _bought(context):
        product = context.shop.product(item.product_id)
        if product is None or len(case.reasons) > 8:
            continue
        same = product.id == case.product.id
        chart = case.chart if same else chart_for(charts, product, case.audience)
        if chart is None or is_shoe(product) != is_shoe(case.product):
            continue
        there = place_of_size(chart, SaidSize(item.size))
        here = there if chart.id == case.chart.id else None if there is None else place_on(case.chart, chart, there)
        if here is None or not order.kept:
            if here is not None and same:
                case.sent_back.add(round(here))
                case.tell(f"order:{order.order_id}", "size_sent_back", size=item.size, title=item.title, order=order.order_id)
            continue
        sd = KEPT_SAME_SD if same else KEPT_ALIKE_SD if chart.id == case.chart.id else KEPT_OTHER_SD
        kept.setdefault(sd, []).append(Place(here + (0 if same else shift), sd))
        if sum(map(len, kept.values())) <= 2:
            case.tell(f"order:{order.order_id}", "size_kept", size=item.size, title=item.title, order=order.order_id)
    if kept:
        # Several things kept are one habit of one body: they count as one finding of the best kind there is.
        sd, places = min(kept.items())
        case.places.append(Place(sum(place.at for place in places) / len(places), sd))


def _asked(case: _Case, question: Facts) -> Facts:
    """The question after what can be told without its answer: whether buyers say that the product runs small."""
    told = tuple(fact for fact in case.reasons if fact.source.startswith("reviews:"))
    facts = (*told, *question.facts)
    return question.model_copy(update={"facts": facts, "reply": _joined(case.context, facts)})


def _ask(case: _Case, held: str) -> Facts:
    """One question: what is needed, and why what was told is of no use."""
    context, chart, model = case.context, case.chart, body_model()
    title = case.product.title.in_language(context.language)
    asked = measures_of(chart)
    measures = _listed(context, [context.phrase(f"size_{name}") for name in asked])
    women = case.audience == "women" and any(girth in asked for girth in GIRTHS)
    if held == "size_out_of_range":
        low, high = model.height_mm
        light, heavy = model.weight_g
        return _only(
            context,
            case.product,
            held,
            "body-model",
            heights=_range(context, low, high),
            weights=context.phrase("size_range", low=light // 1000, high=heavy // 1000),
            measures=measures,
        )
    if held:
        return _only(context, case.product, held, "body-model", title=title, measures=measures)
    if case.audience is None and any(size.system in ("US", "UK") for size in case.said.worn):
        return _only(context, case.product, "size_ask_whose", case.chart_source, title=title)
    key = (
        "size_ask_woman"
        if women
        else "size_ask_foot"
        if "foot" in asked
        else "size_ask_child"
        if asked == ("height",)
        else "size_ask"
    )
    return _only(context, case.product, key, case.chart_source, title=title, measures=measures)


def _answer(case: _Case, odds: Odds) -> Facts:
    context, chart, product = case.context, case.chart, case.product
    title = product.title.in_language(context.language)
    if max(odds.smaller, odds.larger) > max(odds.sizes):
        key = "size_all_too_large" if odds.smaller > odds.larger else "size_all_too_small"
        edge = chart.rows[0 if odds.smaller > odds.larger else -1]
        text = context.phrase(key, title=title, size=edge.size, ranges=_row_text(case, edge))
        facts = (Fact(text=text, source=case.chart_source), *case.reasons)
        return Facts(facts=facts, product_ids=(product.id,), reply=_joined(context, facts), outcome="nothing_found")
    row = odds.best
    size = chart.rows[row].size
    best = odds.sizes[row]
    level = "high" if best >= HIGH else "medium" if best >= MEDIUM else "low"
    made = sizes_of(product)
    if size.casefold() in (each.casefold() for each in made):
        advice = context.phrase(f"size_advice_{level}", title=title, size=size)
        facts_before = [Fact(text=advice, source=case.chart_source), _stock(case, size)]
    else:
        absent = context.phrase("size_not_made", title=title, size=size, sizes=_listed(context, list(made)))
        facts_before = [Fact(text=absent, source=f"product:{product.id}")]
    after = list(case.reasons)
    if case.body:
        after.append(
            Fact(text=context.phrase("size_row", size=size, ranges=_row_text(case, chart.rows[row])), source=case.chart_source)
        )
    after += [Fact(text=text, source=case.chart_source) for text in _asked_sizes(case, row)]
    if (second := odds.runner_up) is not None and (odds.sizes[second] >= 0.02 or level != "high"):
        key = "size_next_larger" if second > row else "size_next_smaller"
        after.append(Fact(text=context.phrase(key, size=chart.rows[second].size), source=case.chart_source))
    facts = tuple(dict.fromkeys([*facts_before, *after]))
    return Facts(facts=facts, product_ids=(product.id,), reply=_joined(context, facts))


def _joined(context: ToolContext, facts: tuple[Fact, ...]) -> str:
    return ("" if context.language == "zh" else " ").join(fact.text for fact in facts)


def _row_text(case: _Case, row: SizeRow) -> str:
    return _named_measures(case.context, {name: _range(case.context, *getattr(row, name)) for name in measures_of(case.chart)})


def _stock(case: _Case, size: str) -> Fact:
    context = case.context
    variants = [each for each in case.product.variants if each.options.get("size", "").casefold() == size.casefold()]
    buyable = [each for each in variants if each.in_stock]
    colors = list(dict.fromkeys(each.options["color"] for each in buyable if "color" in each.options))
    asked = [
        color
        for color in colors
        if any(mentions(context.said, name) for name in {color, context.shop.info.word(color, context.language)})
    ]
    key = (
        "size_not_made"
        if not variants
        else "size_sold_out"
        if not buyable
        else "size_in_stock_in"
        if colors
        else "size_in_stock"
    )
    listed = _listed(context, [context.shop.info.word(color, context.language) for color in asked or colors])
    return Fact(text=context.phrase(key, size=size, colors=listed), source=f"product:{case.product.id}")


def _asked_sizes(case: _Case, row: int) -> Iterator[str]:
    """What to say of other sizes that the customer asks about: "would S fit me?"."""
    for each in read_body([case.context.said], titles=case.product.title.all()).sizes:
        place = place_of_size(case.chart, each) if not each.worn and "/" not in each.size else None
        if place is not None and round(place) != row:
            key = "size_asked_smaller" if place < row else "size_asked_larger"
            yield case.context.phrase(key, size=case.chart.rows[round(place)].size)


def _convert(context: ToolContext, said: Said) -> Facts | None:
    """What a size with its system is elsewhere, by every chart that has it: "US 8 in EU"; None if no such size was named."""
    named = [size for size in said.sizes if size.system]
    if not named:
        return None
    size = named[-1]
    facts: list[Fact] = []
    # Of charts that say the same, the one with most measures is named as the source.
    for chart in sorted(context.shop.size_charts(), key=lambda chart: -len(measures_of(chart))):
        if said.audience and chart.audience not in (said.audience, None):
            continue
        shoes = "foot" in measures_of(chart)
        if chart.brand or (not shoes and _says_shoes(context.said)) or (shoes and _says_clothes(context.said)):
            continue
        place = place_of_size(chart, size)
        if place is None or not any(size.system in row.labels for row in chart.rows) or not chart.audience:
            continue
        row = chart.rows[min(max(round(place), 0), len(chart.rows) - 1)]
        others = [f"{system} {row.labels[system]}" for system in _SYSTEMS if system in row.labels and system != size.system]
        facts.append(
            Fact(
                text=context.phrase(
                    "size_conversion",
                    label=f"{size.system} {size.size}",
                    others=_listed(context, others),
                    size=row.size,
                    kind=context.phrase(f"size_{'shoes' if shoes else 'clothes'}_{chart.audience}"),
                ),
                source=f"size-chart:{chart.id}",
            )
        )
    facts = [fact for number, fact in enumerate(facts) if fact.text not in {each.text for each in facts[:number]}]
    if not facts:
        return None
    closing = Fact(text=context.phrase("size_converted"), source=facts[0].source)
    return Facts(facts=(*facts, closing), reply=_joined(context, (*facts, closing)))


def _says_shoes(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in ("shoe", "boot", "sneaker", "trainer", "sandal", "foot", "鞋", "靴", "脚"))


def _says_clothes(text: str) -> bool:
    lowered = text.lower()
    words = ("dress", "shirt", "cloth", "jacket", "coat", "trouser", "jeans", "skirt", "top", "衣", "裙", "裤", "衫", "外套")
    return any(word in lowered for word in words)
