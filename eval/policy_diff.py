"""What other rules would change: every scenario and stored conversation is played under the old and the new ones."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.console import Console

from agent.events import Turn
from agent.models.local_gguf import LocalGGUF
from agent.resources import Opened
from agent.server.scenarios import scenario_of
from agent.server.store import STORE, Store
from agent.settings import Settings
from eval.conversation import Exchange, apart, beside, without_references
from eval.playing import VARIANTS, Moved, missing, play
from eval.running import noon_of, shop_of_a_day
from eval.scenario import Scenario
from tools.shop.shop import Shop

Tell = Callable[[int, int], None]


class PolicyChange(BaseModel):
    """An answer that changes. `kinds` are what of it does: action, offer, rule, hand-over, wording."""

    model_config = ConfigDict(frozen=True)

    name: str
    turn: int
    said: str
    before: str
    after: str
    kinds: tuple[str, ...]


def policy_changes(
    settings: Settings,
    shop: str,
    old: Path,
    new: Path,
    scenarios: Sequence[tuple[Path, Scenario]],
    console: Console,
    tell: Tell = lambda *_: None,
) -> list[PolicyChange]:
    """The first answer of each scenario and stored conversation that changes: what comes after it is another conversation.

    Raises BadSettings for rules that cannot be used, before anything is played.
    """
    said = [(file, each) for file, each in scenarios if each.steps and missing(each, file.parent) is None]
    clock = Moved(datetime.now(UTC))
    with shop_of_a_day(settings, shop, console) as folder, apart(settings, folder, clock, console) as place:
        if isinstance(place.opened.model, LocalGGUF):
            # What differs comes from the rules, not from chance.
            place.opened.model.temperature = 0
        said += _stored(settings, place.shop)
        return list(changes_between(place.opened, folder, clock, old, new, said, tell))


def changes_between(
    opened: Opened,
    folder: Path,
    clock: Moved,
    old: Path,
    new: Path,
    said: Sequence[tuple[Path, Scenario]],
    tell: Tell = lambda *_: None,
) -> Iterator[PolicyChange]:
    """The same with models that are loaded, on copies of the shop in `folder`."""
    with (
        beside(opened, folder, clock, policy=old) as before,
        beside(opened, folder, clock, policy=new) as after,
    ):
        noon = noon_of(before.shop)
        for number, (file, scenario) in enumerate(said, start=1):
            turns = [
                play(place, clock, scenario, file.parent, VARIANTS[0], noon=noon, seed=0).turns for place in (before, after)
            ]
            yield from _first_change(scenario.name, *turns)
            tell(number, len(said))


def _stored(settings: Settings, shop: Shop) -> Iterator[tuple[Path, Scenario]]:
    """The conversations that the server keeps, as scenarios."""
    file = settings.data_dir / STORE
    if not file.is_file():
        return
    store = Store(file)
    for conversation_id in store.conversation_ids():
        made = scenario_of(store, shop, conversation_id)
        customer = made.get("setup", {}).get("customer") if made else None
        if made and made["steps"] and (customer is None or shop.customer(customer)):
            yield file, Scenario.model_validate(made)


def _first_change(name: str, old: Sequence[Exchange], new: Sequence[Exchange]) -> Iterator[PolicyChange]:
    for number, (one, other) in enumerate(zip(old, new, strict=False), start=1):
        if kinds := tuple(_kinds(one.turn, other.turn)):
            before, after = one.turn.reply, other.turn.reply
            yield PolicyChange(name=name, turn=number, said=one.turn.said, before=before, after=after, kinds=kinds)
            return


def _kinds(old: Turn, new: Turn) -> Iterator[str]:
    if [step.tool for step in old.steps] != [step.tool for step in new.steps]:
        yield "action"
    if (old.quote is None) != (new.quote is None) or (old.quote and new.quote and not old.quote.same_as(new.quote)):
        yield "offer"
    if _rules(old) != _rules(new):
        yield "rule"
    if (old.handoff is None) != (new.handoff is None):
        yield "hand-over"
    if _without_ids(old) != _without_ids(new):
        yield "wording"


def _rules(turn: Turn) -> list[str]:
    return [fact.source for step in turn.steps for fact in step.facts if fact.source.startswith("clause:")]


def _without_ids(turn: Turn) -> str:
    return without_references(turn.reply, [fact.source for step in turn.steps for fact in step.facts])
