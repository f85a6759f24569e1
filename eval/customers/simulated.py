"""A customer made of rules: has wishes and facts, reads what the agent asks, answers from the facts, agrees only to what was wished.

It reads only what a customer sees: the reply, the offer and its buttons. What it gets wrong is kept in `mistakes`, so that it is never
taken for the agent's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agent.events import Turn
from agent.turn import Message
from eval.customers.noise import Noise, noisy
from eval.customers.wishes import Difference, Wish, differences
from eval.customers.wording import Wording
from tools.shop.types import Customer, Language, OrderItem, Variant

Persona = Literal["plain", "polite", "terse", "chatty"]
TRIES = 3
"""How often one wish is put anew, or one offer corrected, before the customer leaves it."""


@dataclass(frozen=True)
class Facts:
    """What the customer knows of themselves."""

    name: str = ""
    email: str = ""
    postcode: str = ""


@dataclass
class _Progress:
    """How far one wish has come."""

    wish: Wish
    tries: int = 0
    corrections: int = 0
    agreed: bool = False
    first: Wish | None = None
    """What is asked for at first, before the customer thinks of more or of something else."""
    told: set[str] = field(default_factory=set)


class SimulatedCustomer:
    """Says one wish at a time and follows it until it is done, told, or given up.

    `given_up` are the wishes that were left; `mistakes` what this customer did that no real one with these wishes would.
    """

    def __init__(
        self,
        wishes: Sequence[Wish],
        facts: Facts,
        owner: Customer | None,
        *,
        language: Language = "en",
        persona: Persona = "plain",
        noise: Noise = "none",
        seed: int = 0,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """`names` tells what the customer calls products, by id, where that is not their title."""
        self._wording = Wording(language, seed, owner.payment_methods if owner else (), names)
        self._random = self._wording.random
        self._space = "" if language == "zh" else " "
        self._facts, self._owner, self._persona, self._noise = facts, owner, persona, noise
        self._email_first = bool(facts.email) and (not facts.postcode or self._random.random() < 0.5)
        self._identified = 0
        self._left = [_Progress(wish, first=self._half_thought(wish)) for wish in wishes]
        self._now: _Progress | None = None
        self._heard = ""
        self._said_last = ""
        self._began = False
        self.given_up: list[Wish] = []
        self.mistakes: list[str] = []

    def next(self, turn: Turn | None) -> Message | None:
        """The next message after the agent's `turn`; None when nothing is left to say, or a person has taken over."""
        if turn is None:
            return self._send(self._opening())
        self._heard += f"\n{turn.reply}"
        if turn.held or turn.handoff is not None:
            # Whoever takes over is not the agent: the conversation with the agent is over.
            self._leave_all()
            self.given_up = [wish for wish in self.given_up if wish.kind != "person"]
            return None
        text = self._answer(turn)
        if text is None:
            return None
        if text == self._said_last and "$" not in text and len(text) > 60:
            self.mistakes.append("said the same twice")
        return self._send(text)

    def _send(self, text: str) -> Message:
        self._said_last = text
        return Message(text=noisy(self._wording.styled(text, self._persona), self._noise, self._random))

    def _opening(self) -> str:
        way = self._random.choice(("wish", "wish", "identified", "greeting"))
        if not self._left:
            return self._wording.say("first_only")
        if way == "greeting":
            return self._wording.say("first_only")
        begin = self._wording.say("greeting")
        who = self._who() if way == "identified" and (self._facts.email or self._facts.postcode) else ""
        return self._space.join(part for part in (begin, who, self._start_next()) if part)

    def _who(self) -> str:
        """The next thing that proves who it is: one of e-mail or name and postcode first, the other if that did not help."""
        ways = ["identify_email"] if self._facts.email else []
        if self._facts.postcode:
            ways.insert(len(ways) if self._email_first else 0, "identify_name")
        if not ways:
            return self._wording.say("unknown")
        way = ways[min(self._identified, len(ways) - 1)]
        self._identified += 1
        return self._wording.say(way, name=self._facts.name, email=self._facts.email, postcode=self._facts.postcode)

    def _half_thought(self, wish: Wish) -> Wish | None:
        """Now and then a customer names one thing first and remembers the others when the offer is there."""
        if wish.kind == "return" and len({item.variant_id for item in wish.items}) > 1 and self._random.random() < 0.15:
            return Wish(**{**wish.__dict__, "items": wish.items[:1]})
        return None

    def _start_next(self) -> str:
        """Begin the next wish, in words."""
        self._now, self._began = self._left.pop(0), True
        progress = self._now
        if progress.wish.kind == "question" and self._is_answered(progress.wish):
            return self._go_on()
        wish = progress.first or progress.wish
        name_order = wish.order is not None and self._random.random() < 0.75
        name_method = self._random.random() < 0.6
        progress.told |= {"order"} if name_order else set()
        progress.told |= {"method"} if name_method else set()
        return self._wording.wish(wish, name_order=name_order, name_method=name_method)

    def _go_on(self, *, gave_up: bool = False) -> str:
        """The next wish, or a word of thanks; "" where nothing is left."""
        if gave_up and self._now is not None:
            self.given_up.append(self._now.wish)
        self._now = None
        if not self._left:
            return ""
        lead = self._wording.say("next") if self._began else ""
        words = self._start_next()
        if not words or not lead:
            return words
        is_name = words[:2] in ("I ", "I'")
        return f"{lead}{self._space}{words if lead[-1] in '.:' or is_name else words[:1].lower() + words[1:]}"

    def _leave_all(self) -> None:
        if self._now is not None:
            self.given_up.append(self._now.wish)
        self.given_up += [each.wish for each in self._left]
        self._now, self._left = None, []

    def _is_answered(self, wish: Wish) -> bool:
        return any(_stands_in(answer, self._heard) for answer in wish.answers)

    def _answer(self, turn: Turn) -> str | None:
        """What to say to this turn; None to end the conversation."""
        progress = self._now
        if progress is None:
            return self._go_on() or None
        done = any(step.tool == "commit_quote" for step in turn.steps)
        if progress.agreed:
            progress.agreed = False
            if done and turn.quote is None:
                return self._go_on() or None
        if turn.quote is not None:
            return self._to_offer(turn, progress)
        if progress.wish.kind == "question" and progress.wish.answers:
            if self._is_answered(progress.wish):
                return self._go_on() or None
            asked = self._to_question(turn, progress)
            return asked or self._again(progress)
        return self._to_question(turn, progress) or self._again(progress)

    def _again(self, progress: _Progress) -> str | None:
        """The wish in other words, whole this time; after some tries the customer leaves it."""
        progress.tries += 1
        if progress.tries > TRIES:
            return self._go_on(gave_up=True) or None
        words = self._wording.wish(progress.wish, name_order=True, name_method=True)
        return words if progress.wish.kind == "question" else self._wording.say("again", wish=words)

    def _to_offer(self, turn: Turn, progress: _Progress) -> str | None:
        """Agree to what was wished; say what is wrong otherwise."""
        assert turn.quote is not None, "called where there is one"
        wrong = differences(turn.quote, progress.wish)
        if not wrong:
            progress.agreed = True
            return self._wording.say("yes")
        progress.corrections += 1
        if progress.corrections > TRIES + len(wrong):
            return self._go_on(gave_up=True) or self._wording.say("no_thanks")
        return self._corrected(wrong[0], turn, progress.wish)

    def _corrected(self, wrong: Difference, turn: Turn, wish: Wish) -> str:
        wording = self._wording
        order = wish.order
        if wrong == "order" and order:
            return wording.say("fix_order", order=order.id)
        if wrong == "items" and order:
            return wording.say("fix_items", items=wording.items(order, wish.items))
        if wrong == "too_few" and order:
            missing = self._missing(turn, wish)
            if wish.new:
                return wording.say("add_items", items=self._swap_words(wish, missing))
            return wording.say("add_items", items=wording.items(order, [wish.items[index] for index in missing]))
        if wrong == "variant" and order:
            index = self._wrong_variant(turn, wish)
            item, new = wish.items[index], wish.new[index]
            return wording.say("fix_variant", item=wording.item(order, item), new=wording.new(item, new, named=False))
        if wrong == "method" and wish.method:
            return wording.say("fix_method", method=wording.method(wish.method))
        if wrong == "address" and wish.address:
            return wording.say("fix_address", address=wording.address(wish.address, wish.order))
        if wrong == "reason":
            because = wording.because(wish)
            return wording.say("fix_reason", because=because, Because=because[:1].upper() + because[1:])
        return wording.say("again", wish=wording.wish(wish, name_order=True, name_method=True))

    def _missing(self, turn: Turn, wish: Wish) -> list[int]:
        """Which of the wished pieces the offer leaves out."""
        request = turn.quote.request if turn.quote else None
        offered: list[str] = []
        for each in (*getattr(request, "items", ()), *getattr(request, "swaps", ())):
            offered += [each.variant_id] * each.quantity
        missing = []
        for index, item in enumerate(wish.items):
            if item.variant_id in offered:
                offered.remove(item.variant_id)
            else:
                missing.append(index)
        return missing

    def _swap_words(self, wish: Wish, which: Sequence[int]) -> str:
        assert wish.order, "a wish with items has an order"
        into = "换成" if self._wording.language == "zh" else " for "
        return self._wording.listed(
            [
                self._wording.item(wish.order, wish.items[index])
                + into
                + self._wording.new(wish.items[index], wish.new[index], False)
                for index in which
            ]
        )

    def _wrong_variant(self, turn: Turn, wish: Wish) -> int:
        offered = {(swap.variant_id, swap.new_variant_id) for swap in getattr(turn.quote and turn.quote.request, "swaps", ())}
        pairs = [(old.variant_id, new.id) for old, new in zip(wish.items, wish.new, strict=True)]
        return next((index for index, pair in enumerate(pairs) if pair not in offered), 0)

    def _to_question(self, turn: Turn, progress: _Progress) -> str | None:
        """The answer to what the agent asks, from the facts; None if it asks nothing that this customer can tell."""
        wish, wording = progress.wish, self._wording
        asked = _asked(turn.reply)
        if asked == "who":
            if self._identified > TRIES:
                return self._go_on(gave_up=True) or None
            return self._who()
        if turn.quick_replies and asked == "which_wish":
            return self._chosen_wish(turn, wish)
        if asked is None or (progress.tries and asked in progress.told and asked not in ("variant", "items")):
            return None
        told = wish
        if asked == "order" and wish.order:
            progress.told.add("order")
            return self._position(turn, [wish.order.id]) or wording.say("order", order=wish.order.id)
        if asked == "items" and wish.order and wish.items:
            progress.tries += 1
            if progress.tries > TRIES:
                return None
            return wording.say("items", items=wording.items(wish.order, (progress.first or told).items))
        if asked == "variant" and wish.order and wish.new:
            progress.tries += 1
            if progress.tries > 2 * TRIES:
                return None
            index = self._asked_about(turn, wish)
            item, new = wish.items[index], wish.new[index]
            listed = self._position(turn, list(new.options.values()))
            return listed or wording.say("variant", new=self._variant_words(item, new))
        if asked == "method" and wish.method:
            progress.told.add("method")
            return wording.say("method", method=wording.method(wish.method))
        if asked == "address" and wish.address:
            progress.told.add("address")
            return wording.say("address", address=wording.address(wish.address, wish.order))
        if asked == "reason":
            progress.told.add("reason")
            because = wording.because(wish)
            return wording.say("reason", because=because, Because=because[:1].upper() + because[1:])
        if asked == "opened":
            progress.told.add("opened")
            return wording.say("unopened")
        if asked == "change":
            progress.told.add("change")
            return wording.wish(wish, name_order=True, name_method=True)
        return None

    def _variant_words(self, item: OrderItem, new: Variant) -> str:
        return self._wording.new(item, new, named=False)

    def _asked_about(self, turn: Turn, wish: Wish) -> int:
        """Which of the things to be swapped the agent asks about: the one that its question names last."""
        reply = turn.reply.lower()
        places = [max(reply.rfind(title.lower()) for title in item.title.all()) for item in wish.items]
        return places.index(max(places)) if places else 0

    def _chosen_wish(self, turn: Turn, wish: Wish) -> str:
        """Asked which of two things is meant: the button that says it, where one does; else the wish in other words."""
        words = _BUTTONS[wish.kind]
        fitting = [label for label in turn.quick_replies if re.search(words, label, re.I)]
        return fitting[0] if len(fitting) == 1 else self._wording.wish(wish, name_order=True, name_method=True)

    def _position(self, turn: Turn, values: Sequence[str]) -> str | None:
        """The number of the line that says all of this, if the reply numbers its choices and the customer likes numbers."""
        lines = re.findall(r"^(\d)\. (.*)$", turn.reply, re.M)
        fitting = [number for number, line in lines if all(_stands_in(value, line) for value in values)]
        if len(fitting) != 1 or self._random.random() < 0.4:
            return None
        return self._wording.say("position", number=fitting[0])


_BUTTONS: dict[str, str] = {
    "return": r"send something back|refund|退",
    "exchange": r"swap|换",
    "item_change": r"change an order|改",
    "cancellation": r"cancel|取消",
    "payment_change": r"change an order|改",
    "address_change": r"change an order|改",
    "customer_address": r"address in your account|账户",
    "question": r"check on an order|find a product|查|找",
    "person": r"colleague|同事|人工",
}
_QUESTIONS: tuple[tuple[str, str], ...] = (
    ("which_wish", r"just so that i do the right thing|would you like to .+ or .+\?$|您是想"),
    ("who", r"e-?mail address|who you are|your account\b.*(?:name|postcode)|zip code|邮箱|邮编"),
    ("reason", r"may i ask why|what is the reason|why (?:do|would) you|原因|为什么"),
    ("opened", r"still unopened|pack or seal|been opened|拆封|未拆"),
    (
        "variant",
        r"which (?:size|colou?r|option|version|of these)|would you like .+ in\?|tell me which you would like"
        r"|换成哪|哪一?[款个种]|什么(?:颜色|尺码)",
    ),
    ("method", r"payment method|which card|how would you like to (?:pay|be refunded)|支付方式|付款方式|退到哪"),
    ("address", r"new (?:delivery |shipping )?address|新(?:的)?地址|收货地址"),
    ("change", r"what would you like to change|改什么"),
    ("order", r"which order|order number|哪个订单|订单号"),
    ("items", r"which item|which of the items|哪(?:一)?[件个](?:商品)?"),
)


def _asked(reply: str) -> str | None:
    """What a reply asks for, by what stands in its questions; None if it asks nothing that has a name."""
    for name, pattern in _QUESTIONS:
        if re.search(pattern, reply, re.I | re.S if name == "which_wish" else re.I):
            return name
    return None


def _stands_in(answer: str, text: str) -> bool:
    """Whether the text says this: as words of their own, a number however its thousands are written."""
    plain = text.lower().replace(",", "")
    wanted = re.escape(answer.lower().replace(",", ""))
    return bool(re.search(rf"(?<![a-z0-9.]){wanted}(?![a-z0-9]|\.\d)", plain))
