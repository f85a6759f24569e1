"""The next step of a turn: by code where code knows it, else by the chooser; where it is unsure, the customer or the model is asked."""

import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolCall
from langchain_core.tools import BaseTool

from agent.answers import is_question
from agent.chooser.evidence import Evidence
from agent.examples import REPLY, most_alike
from agent.intake import mask_private
from agent.prompts import fill
from agent.settings import TurnSettings
from agent.turn_context import TurnContext
from tools.advise_size import advise_size
from tools.answer_from_policy import answer_from_policy
from tools.catalog.passages import sentences
from tools.commit_quote import commit_quote
from tools.hand_to_human import hand_to_human
from tools.identify_product import identify_product
from tools.kit.answers import (
    asks_balance,
    asks_more,
    asks_total,
    is_angry,
    is_no,
    keeps_order,
    only_asks_for_help,
    read_order,
    says_wants,
    wants,
    wants_cheaper,
    wants_for_me,
    wants_like_it,
    wants_popular,
    wants_to_go_with,
    would_rather_have,
)
from tools.kit.errors import ModelFailed
from tools.kit.naming import parts_about
from tools.kit.reading import calls_an_order, mentions, points_back, shown_position
from tools.kit.wish import wants_more
from tools.quote_address_change import quote_address_change
from tools.quote_cancellation import quote_cancellation
from tools.quote_exchange import quote_exchange
from tools.quote_order_change import quote_order_change
from tools.quote_return import quote_return
from tools.recommend_products import recommend_products
from tools.search_products import search_products
from tools.track_order import track_order

if TYPE_CHECKING:
    from agent.chooser.chooser import Chooser

TOOLS: tuple[BaseTool, ...] = (
    search_products,
    identify_product,
    recommend_products,
    advise_size,
    answer_from_policy,
    track_order,
    quote_return,
    quote_exchange,
    quote_cancellation,
    quote_order_change,
    quote_address_change,
    hand_to_human,
)
"""What a chat model may choose among."""
CODE_TOOLS: tuple[BaseTool, ...] = (commit_quote,)
"""What only code calls."""
QUOTES = frozenset(tool.name for tool in TOOLS if tool.name.startswith("quote_"))
SURE_OF_TALK = 0.6
"""Share of the evidence from which a reply without a tool needs no second opinion."""
ENOUGH = 0.85
"""Where the evidence is not sure, tools are allowed, the likeliest first, until they have this share of it."""
PLAIN_CHARACTERS = 200
"""A longer message holds more than what a tool's argument asks for; the model reads it."""
REMEMBERED_CHARACTERS = 120
"""Of an earlier reply: what it was about. Its details stand in the facts of its own turn, and every word is read anew."""
SHORT = 12
"""Characters of a message that says too little without what was said before: "in blue?", 「那个呢」."""
_LOOKING = frozenset({search_products.name, identify_product.name, recommend_products.name})
"""All of them show products: the wrong one costs the customer less than a question."""
_SWAPS = {quote_exchange.name, quote_order_change.name}
CERTAIN_ANOTHER = 0.85
"""Share of the evidence from which who names a product and has no word for others is taken to want others."""
CERTAIN_WISH = 0.75
"""Share of the evidence from which one sentence of several is taken for a wish of its own, and a rule for what is asked of a product."""
ALLOWED = "allowed: "
"""Begins the line of a turn's reasons that tells what was possible, for who shows it in a place of its own."""
PATIENCE = 2
"""Turns in a row that came to nothing, after which another one is passed to a person."""

Handler = Callable[[ModelRequest[TurnContext]], ModelResponse[Any]]


class Decider:
    """Chooses one tool call, or the text of a reply that needs no tool."""

    def __init__(self, chooser: "Chooser", titles: frozenset[str], settings: TurnSettings) -> None:
        self._chooser = chooser
        self._titles = titles
        self._settings = settings

    def known_step(self, turn: TurnContext) -> AIMessage | None:
        """What code knows without anybody's choice: agreement, refusal, an answer to our question."""
        if turn.doubtful is not None:
            turn.meter.why.append(f"asked whether {turn.doubtful} was heard right")
            question = turn.phrase("heard_number", number=" ".join(turn.doubtful))
            return AIMessage(question, additional_kwargs={"doubt": {"number": turn.doubtful, "said": mask_private(turn.said)}})
        if turn.agreed is not None:
            turn.meter.why.append(f"the customer agreed to quote {turn.agreed}")
            return call(commit_quote.name)
        offer = turn.past.quote
        if turn.declined is not None or (
            offer is not None and (is_no(turn.said) or (offer.kind == "cancellation" and keeps_order(turn.said)))
        ):
            turn.meter.why.append("the customer declined the quote")
            quote = turn.declined or (offer and offer.id)
            return AIMessage(turn.phrase("quote_dropped"), additional_kwargs={"declined": quote})
        if turn.too_early:
            turn.meter.why.append("the customer said yes before the quote was there")
            return AIMessage(turn.phrase("agreed_too_early"))
        if turn.continued and turn.past.asked is not None:
            turn.meter.why.append(f"this answers what {turn.past.asked.tool} asked: {turn.past.asked.slot}")
            return call(turn.past.asked.tool)
        if turn.photo is None and only_asks_for_help(turn.said):
            turn.meter.why.append("the customer has not said yet with what to help")
            return AIMessage(turn.phrase("talk_greeting"))
        if (turn.past.done and asks_total(turn.said)) or asks_balance(turn.said):
            turn.meter.why.append("asked what was done comes to, or what is left on a card: the books tell")
            return call(track_order.name)
        if turn.rest is not None and turn.photo is None and wants_more(turn.said) and not self._wants_others(turn):
            turn.meter.why.append("the customer wants to see more of the list")
            return call(search_products.name, query=turn.rest.asked[:PLAIN_CHARACTERS])
        if turn.chosen is not None:
            turn.meter.why.append(f"asked what they meant, the customer chose {turn.chosen}")
            if turn.chosen == REPLY:
                return AIMessage(turn.phrase("tell_in_words"))
            return _call_with_words(turn.chosen, turn.said, turn)
        return None

    def _wants_others(self, turn: TurnContext) -> bool:
        """Whether "anything else?" surely asks for alternatives to what was shown, and not for the next ones of the list."""
        return self._look_up(turn, turn.said).shares.get(recommend_products.name, 0.0) >= CERTAIN_WISH

    def wishes(self, turn: TurnContext) -> list[str]:
        """The message, or what it asks for one after the other ("Where is 1042? And do you sell tents?").

        What comes before the main wish is its story; what comes after it is a wish of its own only if it is put as one.
        """
        said = [sentence for sentence in sentences(turn.said) if len(sentence) > 3]
        if turn.continued or not 1 < len(said) <= 2 * self._settings.max_steps or turn.photo is not None:
            return [turn.said]
        main = next(iter(self._look_up(turn, turn.said).shares))
        clear = [
            (tool, sentence)
            for sentence in said
            for tool, share in [next(iter(self._look_up(turn, sentence).shares.items()))]
            if share >= CERTAIN_WISH and tool not in (REPLY, hand_to_human.name)
        ]
        # Of several questions each wants its answer, whichever is the main one.
        all_ask = all(sentence.endswith(("?", "？")) for _, sentence in clear)
        wishes: dict[str, str] = {}
        for tool, sentence in clear:
            if not wishes and (tool == main or all_ask):
                wishes[tool] = turn.said[: turn.said.find(sentence) + len(sentence)]
            elif wishes and asks_more(sentence):
                wishes.setdefault(tool, sentence)
        return list(wishes.values()) if len(wishes) > 1 else [turn.said]

    def _look_up(self, turn: TurnContext, said: str) -> Evidence:
        if said not in turn.looked_up:
            turn.looked_up[said] = self._chooser.look_up(
                said, turn.language, before=turn.past.before, photo=turn.photo is not None
            )
        return turn.looked_up[said]

    def choose(self, request: ModelRequest[TurnContext], handler: Handler, wish: str) -> AIMessage:
        """One tool call, or the text of a reply that needs no tool, for one wish of the message."""
        turn = request.runtime.context
        if turn.photo is not None and not wish:
            return call(identify_product.name)
        evidence = self._look_up(turn, wish)
        shares = evidence.shares
        named = next((title for title in self._titles if title in wish.lower() and mentions(wish, title)), None)
        if named is not None:
            # Whoever names a product by its whole title is not making small talk.
            shares = {tool: share for tool, share in shares.items() if tool != REPLY}
        allowed = _allowed(shares, self._settings.sure, has_photo=turn.photo is not None)
        if len(allowed) > 1 and (of_the_order := _of_the_order(shares, wish, turn)):
            shares = of_the_order
            allowed = _allowed(shares, self._settings.sure, has_photo=turn.photo is not None)
        if allowed[0] in _LOOKING and turn.photo is None and would_rather_have(wish):
            turn.meter.why.append("who has something and would rather have another wants it swapped")
            return call(quote_exchange.name)
        if named is not None and _may_mean(named, wish, shares):
            # Its own facts are looked at first.
            allowed = [search_products.name]
        if allowed == [answer_from_policy.name] and not is_question(wish) and len(wanted := says_wants(wish, QUOTES)) == 1:
            # Who says what is to be done asks for no rule, however often others ask for it with these words.
            allowed = list(wanted)
        if is_angry(wish) and (len(allowed) > 1 or allowed == [REPLY]):
            # Who is angry and says clearly what is to be done gets it done; nobody else is argued with.
            turn.meter.why.append("the customer has had enough")
            return call(hand_to_human.name, reason=mask_private(wish)[:200])
        if turn.meter.share is None:
            turn.meter.likeliest, turn.meter.share = next(iter(shares.items()))
        turn.meter.why.append(ALLOWED + ", ".join(f"{tool} ({shares.get(tool, 0):.2f})" for tool in allowed))
        if allowed == [REPLY]:
            return AIMessage(self._talk(turn, evidence))
        if len(allowed) == 1 and (known := _plain_call(allowed[0], wish, turn)):
            turn.meter.why.append("chosen without the model: one tool is possible and its arguments are plain")
            return known
        names_shown = bool(turn.shown) and shown_position(wish, len(turn.shown)) is not None
        if turn.shown and set(allowed[:2]) == {search_products.name, recommend_products.name} and wants_cheaper(wish):
            turn.meter.why.append("chosen without the model: cheaper than what is shown is wanted")
            return _call_with_words(recommend_products.name, wish, turn)
        if names_shown and search_products.name in allowed and recommend_products.name not in allowed[:2]:
            turn.meter.why.append("chosen without the model: it names one of the products shown, and nothing else clearly")
            return call(search_products.name, query=mask_private(wish))
        if self._settings.unsure == "ask_customer":
            if set(allowed[:2]) == _SWAPS:
                # Whether an order can still be changed decides which of the two it is, and the change finds that out.
                allowed = [quote_order_change.name]
            elif len(wanted := wants(wish, allowed[:2])) == 1 and (
                set(allowed[:2]) <= QUOTES or (set(allowed[:2]) <= {*QUOTES, answer_from_policy.name} and not is_question(wish))
            ):
                # "I want to return the gift card" is no question about rules; its quote tells the rule that forbids it.
                allowed = list(wanted)
            elif set(allowed[:2]) == {hand_to_human.name, REPLY} and evidence.talk == "about_me":
                # The answer tells who writes, and how to get a person.
                allowed = [REPLY]
            if len(allowed) > 1 and turn.past.choice is None and not set(allowed[:2]) <= _LOOKING:
                return _question(turn, allowed[0], allowed[1], wish)
            # A second question in a row, or one between two ways to show products, would cost the customer more than a wrong guess.
            allowed = allowed[:1]
            if allowed == [REPLY]:
                return AIMessage(self._talk(turn, evidence))
            if known := _plain_call(allowed[0], wish, turn):
                return known
        shown = most_alike(wish, turn.language, turn.past.before, allowed, self._settings.examples)
        prompt = fill(
            "decide.md",
            context=_context_lines(turn),
            examples="\n".join(f"Customer: {example.say}\n{example.as_decision()}" for example in reversed(shown)),
            said=mask_private(wish),
        )
        response = handler(
            request.override(
                messages=[*self._history(turn), HumanMessage(prompt)],
                tools=[tool for tool in request.tools if isinstance(tool, BaseTool) and tool.name in allowed],
                model_settings={**request.model_settings, "allow_reply": REPLY in allowed, "write_reply": False},
            )
        )
        answer = response.result[-1]
        turn.meter.count(answer)
        if not isinstance(answer, AIMessage):
            raise ModelFailed(f"the chat model answered a {type(answer).__name__}; check the model named in the settings.")
        if not answer.tool_calls:
            turn.meter.why.append("chosen: reply")
            return AIMessage(self._talk(turn, evidence))
        # One step at a time: what a second call in the same breath would be based on is not known yet.
        chosen = _spoken(answer.tool_calls[0], turn)
        if chosen["name"] not in allowed:
            raise ModelFailed(f"the chat model called {chosen['name']!r}, which it was not offered; try a larger model.")
        turn.meter.why.append(f"chosen: {chosen['name']} {chosen['args']}")
        return AIMessage("", tool_calls=[chosen])

    def _talk(self, turn: TurnContext, evidence: Evidence) -> str:
        """A reply without facts is one of the shop's own sentences: a model left alone would invent the weather."""
        turn.meter.why.append(f"talk: {evidence.talk}")
        return turn.phrase(f"talk_{evidence.talk}", shop=turn.shop.info.name.in_language(turn.language))

    def _history(self, turn: TurnContext) -> list[AnyMessage]:
        messages: list[AnyMessage] = []
        for said, reply in turn.past.turns[-self._settings.remembered_turns :]:
            messages += [HumanMessage(said), AIMessage(reply[:REMEMBERED_CHARACTERS] or "…")]
        return messages


def call(tool: str, **arguments: Any) -> AIMessage:
    """A tool call that code decided on."""
    return AIMessage(
        "", tool_calls=[{"name": tool, "args": arguments, "id": f"call_{secrets.token_hex(8)}", "type": "tool_call"}]
    )


def _may_mean(named: str, wish: str, shares: Mapping[str, float]) -> bool:
    """Whether it is not certain that a rule or another product is asked about, and not the one that is named."""
    first, *rest = list(shares)[:2]
    if first == recommend_products.name:
        return shares[first] < CERTAIN_ANOTHER and not _wants_another(wish, named)
    if shares[first] >= CERTAIN_WISH:
        return False
    if {first, *rest} == {search_products.name, answer_from_policy.name}:
        return True
    return [first, *rest] == [search_products.name, recommend_products.name] and not _wants_another(wish, named)


def _wants_another(wish: str, named: str) -> bool:
    """Whether who names a product wants others: like it, cheaper ones, or what goes with it."""
    pointed = wish.lower().replace(named, "this" if named.isascii() else "这个")
    return any(asks(pointed) for asks in (wants_like_it, wants_cheaper, wants_to_go_with, wants_for_me, wants_popular))


def _of_the_order(shares: dict[str, float], wish: str, turn: TurnContext) -> dict[str, float]:
    """The shares of what may be meant by a message that names an order; empty if it names none.

    Left out is what the order's state rules out, and rules in general: whether something may be done with an order its quote tells,
    with the rule that decides it.
    """
    if turn.customer_id is None:
        return {}
    order = read_order(wish, turn.shop.orders_of(turn.customer_id))
    likeliest = set(list(shares)[:2])
    if order is None:
        # An order that is not the customer's can only be looked for.
        return {track_order.name: 1.0} if track_order.name in likeliest and calls_an_order(wish) else {}
    if not likeliest & {*QUOTES, track_order.name}:
        return {}
    policy = turn.shop.policy
    may_change = (*policy.item_changes, *policy.address_changes, *policy.payment_changes)
    ruled_out = {answer_from_policy.name}
    if order.status not in ("pending", "pending_changed"):
        # Later than that it is the shop's rules that say what can still be stopped.
        for tool, rules in ((quote_cancellation.name, policy.cancellations), (quote_order_change.name, may_change)):
            if not any(rule.allowed and order.status in rule.statuses for rule in rules):
                ruled_out.add(tool)
    else:
        if likeliest & {quote_cancellation.name, quote_order_change.name}:
            # What was not sent yet cannot be sent back.
            ruled_out.add(quote_return.name)
        if quote_order_change.name in likeliest and 0 < len(parts_about(wish, order.items, turn.shop)) < len(order.items):
            # Who names a part of it does not mean all of it.
            ruled_out.add(quote_cancellation.name)
    if likeliest & _SWAPS and not is_question(wish):
        # Of a thing that was bought, a size that is told is the one that is wanted.
        ruled_out.add(advise_size.name)
    left = {tool: share for tool, share in shares.items() if tool not in ruled_out}
    whole = sum(left.values())
    return {tool: share / whole for tool, share in left.items()} if whole else {}


def _plain_call(tool: str, wish: str, turn: TurnContext) -> AIMessage | None:
    """The call where code knows the arguments as well as a model would: a photo, one's own orders, a person, a first question."""
    if tool in (identify_product.name, track_order.name, advise_size.name, *QUOTES):
        return call(tool)
    if len(wish) > PLAIN_CHARACTERS:
        return None
    points_at_shown = bool(turn.shown) and (points_back(wish) or shown_position(wish, len(turn.shown)) is not None)
    leans = bool(turn.past.turns) and (points_back(wish) or len(wish) < SHORT)
    is_plain = {
        hand_to_human.name: True,
        answer_from_policy.name: not leans,
        search_products.name: turn.photo is None and (points_at_shown or not leans),
        recommend_products.name: bool(turn.shown) or turn.photo is not None,
    }
    return _call_with_words(tool, wish, turn) if is_plain[tool] else None


def _call_with_words(tool: str, wish: str, turn: TurnContext) -> AIMessage:
    """The call with the customer's own words for its arguments."""
    # Arguments are kept with the conversation: nothing private may stand in them.
    words = mask_private(wish)[:PLAIN_CHARACTERS]
    if tool == hand_to_human.name:
        return call(tool, reason=words)
    if tool == answer_from_policy.name:
        return call(tool, question=words)
    if tool == search_products.name:
        return call(tool, query=words)
    if tool == recommend_products.name:
        kind = "bought_together" if wants_to_go_with(wish) else "similar"
        return call(
            tool, kind=kind, cheaper=wants_cheaper(wish), **({} if turn.shown or turn.photo else {"product": words[:100]})
        )
    return call(tool)


def _question(turn: TurnContext, first: str, second: str, wish: str) -> AIMessage:
    """Asks which of the two the customer means."""
    if first == REPLY:
        first, second = second, first
    turn.meter.why.append(f"asked: {first} or {second}")
    names = {"first": turn.phrase(f"wish_{first}"), "second": turn.phrase(f"wish_{second}")}
    return AIMessage(
        turn.phrase("ask_which", **names), additional_kwargs={"choice": {"tools": [first, second], "wish": mask_private(wish)}}
    )


def _spoken(chosen: ToolCall, turn: TurnContext) -> ToolCall:
    """The call without what the customer never said: a model may make up an order number, or which of those shown is meant."""
    order = str(chosen["args"].get("order") or "").strip().lstrip("#").lower()
    made_up = set()
    if chosen["name"] == track_order.name and not (order and order in " ".join((*turn.earlier, turn.said)).lower()):
        made_up = {"order"}
    elif chosen["name"] == search_products.name and wants_cheaper(turn.said):
        # Cheaper than all that was shown is none of it.
        made_up = {"product"}
    return {**chosen, "args": {name: value for name, value in chosen["args"].items() if name not in made_up}}


def _allowed(shares: dict[str, float], sure: float, *, has_photo: bool) -> list[str]:
    """The tools worth choosing among, the likeliest first: one where the evidence is sure, and only what the message makes possible."""
    allowed: list[str] = []
    total = 0.0
    possible = {tool: share for tool, share in shares.items() if has_photo or tool != identify_product.name}
    first, its_share = next(iter(possible.items()))
    # A canned sentence where something was wanted is the worst answer: it takes more.
    alone = its_share >= (max(sure, SURE_OF_TALK) if first == REPLY else sure)
    for tool, share in possible.items():
        if total >= ENOUGH or (allowed and alone):
            break
        total += share
        allowed.append(tool)
    return allowed


def _context_lines(turn: TurnContext) -> str:
    """What was shown and what is attached, for the decision; "" if nothing."""
    lines = []
    if turn.shown:
        titles = [product.title.in_language(turn.language) for each in turn.shown if (product := turn.shop.product(each))]
        lines.append("Shown last: " + "; ".join(f"{number}. {title}" for number, title in enumerate(titles, start=1)))
    if turn.photo is not None:
        lines.append("A photo is attached.")
    return "\n".join(lines) + "\n\n" if lines else ""
