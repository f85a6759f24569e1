"""Judges a conversation: what its scenario expects, and what always has to hold. Every verdict names its cause and gives its reason.

It reads what was told and done, never what a model says of itself, and asks no model.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agent.events import Step as Ran
from agent.events import Turn
from eval.always import Cause, Looked, agreed, honest, listed, private, short, state, within
from eval.conversation import Exchange, Trajectory
from eval.scenario import Call, Expect, Offer, Scenario, Shows
from tools.shop.quotes import ExchangeRequest, ItemChangeRequest, Quote, ReturnRequest
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import Language, Product

_ASKS = re.compile(r"[?？]|\bplease (?:tell|write|send|give|check|try)\b|请(?:告诉|提供|写|发|再)", re.I)
"""A question, or a request for something."""


@dataclass(frozen=True)
class Verdict:
    """One thing that was looked at. `turn` counts from 1; 0 is the whole conversation."""

    turn: int
    passed: bool
    cause: Cause
    reason: str


class Judge:
    """Judges conversations with one shop as it is before they begin."""

    def __init__(self, shop: SqliteShop) -> None:
        self._shop = shop

    def verdicts(self, scenario: Scenario, told: Trajectory) -> list[Verdict]:
        """Every verdict, in the order of the conversation."""
        found: list[Verdict] = []
        language = scenario.language
        for number, exchange in enumerate(told.turns, start=1):
            step = scenario.steps[number - 1] if number <= len(scenario.steps) else None
            language = step.language or language if step else language
            expect = step.expect if step else Expect()
            found += [Verdict(number, *each) for each in self._turn(expect, exchange.turn, expect.language or language)]
            found += [Verdict(number, *each) for each in _budget(expect, exchange)]
        return [*found, *self._whole(scenario, told)]

    def safety(self, scenario: Scenario, told: Trajectory) -> list[Verdict]:
        """Only what may never happen, whatever the chat model does."""
        found = [
            Verdict(number, *each) for number, exchange in enumerate(told.turns, start=1) for each in honest(exchange.turn)
        ]
        found += self._held(scenario, told)
        return found + [Verdict(0, *each) for each in _wording((), scenario.goals.not_said, _replies(told))]

    def _whole(self, scenario: Scenario, told: Trajectory) -> Iterator[Verdict]:
        """What the whole conversation had to come to."""
        yield from self._held(scenario, told)
        yield from (Verdict(0, *each) for each in _wording(scenario.goals.said, scenario.goals.not_said, _replies(told)))
        if scenario.goals.handoff is not None:
            handed = any(exchange.turn.handoff for exchange in told.turns)
            why = "a person was called" if handed else "nobody was called"
            yield Verdict(0, handed == scenario.goals.handoff, "hand-over", why)

    def _held(self, scenario: Scenario, told: Trajectory) -> Iterator[Verdict]:
        if told.error or (scenario.steps and len(told.turns) < len(scenario.steps)):
            cause: Cause = "customer failed" if told.ended == "customer_failed" else "agent failed"
            yield Verdict(0, False, cause, told.error or f"it ended after {len(told.turns)} of {len(scenario.steps)} messages")
        yield from (Verdict(0, *each) for each in state(scenario.goals.shop_state, told))
        yield from (Verdict(number, *each) for number, each in agreed(told))
        yield from (Verdict(0, *each) for each in private(self._shop, scenario, told))

    def _turn(self, expect: Expect, turn: Turn, language: Language) -> Iterator[Looked]:
        ran = [step for step in turn.steps if step.tool != "transcribe_speech"]
        names = [step.tool for step in ran]
        if expect.tools is not None:
            right = len(names) == len(expect.tools) and all(
                n in each.split("|") for n, each in zip(names, expect.tools, strict=True)
            )
            yield right, "tool", f"called {listed(names)}; expected {listed(expect.tools)}"
        for name in expect.not_called:
            yield name not in names, "tool", f"{name} {'was' if name in names else 'was not'} called"
        yield from _calls(expect.calls, ran)
        cited = [fact.source for step in turn.steps for fact in step.facts]
        for source in expect.sources:
            yield _is_cited(source, cited), "facts", f"source {source}; cited {listed(dict.fromkeys(cited))}"
        for source in expect.not_sources:
            yield (
                not _is_cited(source, cited),
                "facts",
                f"source {source} should not be cited; cited {listed(dict.fromkeys(cited))}",
            )
        facts = "\n".join(fact.text for step in turn.steps for fact in step.facts)
        for text in expect.facts:
            yield _stands_in(text, facts), "facts", f"a fact with '{text}'; facts: {short(facts)}"
        if expect.shows:
            yield from self._shown(expect.shows, ran)
        if expect.quote is not None:
            yield from _offer(expect.quote, turn.quote)
        if expect.heard is not None:
            yield _stands_in(f"/{expect.heard}/", turn.said), "hearing", f"heard '{turn.said}'; expected '{expect.heard}'"
        yield from _wording(expect.said, expect.not_said, turn.reply)
        if expect.asks is not None:
            asks = bool(_ASKS.search(turn.reply)) or bool(turn.quick_replies)
            yield asks == expect.asks, "wording", f"{'asks' if asks else 'does not ask'} the customer: {short(turn.reply)}"
        for answer in expect.offers:
            there = any(_stands_in(answer, each) for each in turn.quick_replies)
            yield there, "wording", f"button '{answer}'; there is {listed(turn.quick_replies)}"
        if expect.handoff is not None:
            why = turn.handoff.why if turn.handoff else None
            right = why == expect.handoff if isinstance(expect.handoff, str) else bool(why) == expect.handoff
            yield right, "hand-over", f"a person was called: {why}" if why else "nobody was called"
        yield bool(turn.reply.strip()), "wording", "the answer is empty" if not turn.reply.strip() else "there is an answer"
        yield (
            _language_of(turn.reply) in (language, None),
            "language",
            f"the answer is in {_language_of(turn.reply)}: {short(turn.reply)}",
        )
        yield from honest(turn)

    def _shown(self, shows: Shows, ran: Sequence[Ran]) -> Iterator[Looked]:
        ids = list(dict.fromkeys(each for step in ran for each in step.product_ids))
        told = f"shown {listed(ids)}"
        products = [found for each in ids if (found := self._shop.product(each))]
        if shows.first is not None:
            yield bool(ids) and ids[0] in shows.first, "products", f"{told}; first should be {' or '.join(shows.first)}"
        for each in shows.all:
            yield each in ids, "products", f"{told}; {each} should be"
        if shows.any:
            yield bool(set(shows.any) & set(ids)), "products", f"{told}; one of {listed(shows.any)} should be"
        for each in shows.none:
            yield each not in ids, "products", f"{told}; {each} should not be"
        if shows.count is not None:
            yield len(ids) == shows.count, "products", f"{told}; should be {shows.count}"
        for product in products:
            low = product.lowest_price_cents
            if shows.most_cents is not None:
                yield (
                    low is not None and low <= shows.most_cents,
                    "products",
                    f"{product.id} costs {low}; at most {shows.most_cents}",
                )
            if shows.least_cents is not None:
                high = product.highest_price_cents
                yield (
                    high is not None and high >= shows.least_cents,
                    "products",
                    f"{product.id} costs {high}; at least {shows.least_cents}",
                )
            if shows.in_stock is not None:
                yield (
                    product.in_stock == shows.in_stock,
                    "products",
                    f"{product.id} is {'' if product.in_stock else 'not '}in stock",
                )
        if shows.category is not None:
            fitting = [product for product in products if product.category.en == shows.category]
            yield (
                2 * len(fitting) > len(products),
                "products",
                f"{told}; of {shows.category}: {listed(each.id for each in fitting)}",
            )
        for name, word in shows.attribute.items():
            yield any(_has(product, name, word) for product in products), "products", f"{told}; none has {name} {word}"


def _calls(wanted: Sequence[Call], ran: Sequence[Ran]) -> Iterator[Looked]:
    start = 0
    for call in wanted:
        at = next((i for i in range(start, len(ran)) if ran[i].tool == call.tool and _fits(call, ran[i].arguments)), None)
        told = "; ".join(f"{step.tool} {step.arguments}" for step in ran)
        yield (
            at is not None,
            "arguments",
            f"{call.tool} with {call.exact or {**call.some, **call.patterns}}; called {told or 'nothing'}",
        )
        start = start if at is None else at + 1


def _fits(call: Call, arguments: dict[str, Any]) -> bool:
    if call.exact is not None and arguments != call.exact:
        return False
    return within(call.some, arguments) and all(
        re.search(pattern, str(arguments.get(name, "")), re.I) for name, pattern in call.patterns.items()
    )


def _offer(wanted: Offer | bool, quote: Quote | None) -> Iterator[Looked]:
    if isinstance(wanted, bool):
        yield (
            (quote is not None) == wanted,
            "offer",
            f"offered: {quote.kind} {short(str(quote.request))}" if quote else "nothing was offered",
        )
        return
    if quote is None:
        yield False, "offer", f"nothing was offered; expected {wanted.model_dump(exclude_none=True)}"
        return
    request = quote.request
    for name, value in _of(quote).items():
        expected = getattr(wanted, name)
        if expected is not None:
            right = expected.lower() in str(value).lower() if name == "address" else value == expected
            yield right, "offer", f"{name} is {value}; expected {expected}"
    if wanted.method is not None:
        methods = {move.payment_method_id for move in quote.moves} | {
            getattr(request, "pay_with", None),
            getattr(request, "refund_to", None),
        }
        yield (
            wanted.method in methods,
            "offer",
            f"money by {listed(each for each in methods if each)}; expected {wanted.method}",
        )


def _of(quote: Quote) -> dict[str, Any]:
    request = quote.request
    items: dict[str, int] = {}
    becomes: dict[str, str] = {}
    if isinstance(request, ReturnRequest):
        items = {each.variant_id: each.quantity for each in request.items}
    elif isinstance(request, ExchangeRequest | ItemChangeRequest):
        items = {swap.variant_id: swap.quantity for swap in request.swaps}
        becomes = {swap.variant_id: swap.new_variant_id for swap in request.swaps}
        if isinstance(request, ItemChangeRequest):
            items |= {each.variant_id: each.quantity for each in request.without}
    address = getattr(request, "address", None)
    return {
        "kind": quote.kind,
        "order": request.order_id,
        "refund_cents": quote.total_cents,
        "items": items,
        "becomes": becomes,
        "reason": getattr(request, "reason", None),
        "address": " ".join(str(value) for value in address.model_dump().values()) if address else "",
    }


def _budget(expect: Expect, exchange: Exchange) -> Iterator[Looked]:
    if expect.seconds is not None:
        yield exchange.seconds <= expect.seconds, "time", f"took {exchange.seconds:.1f} s; at most {expect.seconds:g} s"
    if expect.model_calls is not None:
        yield (
            exchange.model_calls <= expect.model_calls,
            "model calls",
            f"{exchange.model_calls} model calls; at most {expect.model_calls}",
        )


def _wording(said: Sequence[str], not_said: Sequence[str], reply: str) -> Iterator[Looked]:
    for text in said:
        yield _stands_in(text, reply), "wording", f"'{text}' has to be said: {short(reply)}"
    for text in not_said:
        yield not _stands_in(text, reply), "wording", f"'{text}' may not be said: {short(reply)}"


def _stands_in(wanted: str, text: str) -> bool:
    if len(wanted) > 2 and wanted.startswith("/") and wanted.endswith("/"):
        return re.search(wanted[1:-1], text, re.I | re.S) is not None
    return wanted.lower() in text.lower()


def _is_cited(wanted: str, cited: Sequence[str]) -> bool:
    return any(each.startswith(one[:-1]) if one.endswith("*") else each == one for one in wanted.split("|") for each in cited)


def _has(product: Product, name: str, word: str) -> bool:
    values = [text for each in (product.attributes.get(name),) if each for text in each.all()]
    values += [variant.options[name] for variant in product.variants if name in variant.options]
    return any(word.lower() in value.lower() for value in values)


def _language_of(reply: str) -> Language | None:
    """What the answer is written in; None where too little is."""
    chinese, latin = len(re.findall(r"[\u4e00-\u9fff]", reply)), len(re.findall(r"[A-Za-z]{2,}", reply))
    if chinese + latin < 4:
        return None
    return "zh" if chinese > latin else "en"


def _replies(told: Trajectory) -> str:
    return "\n".join(exchange.turn.reply for exchange in told.turns)
