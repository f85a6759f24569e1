"""`storehand desk …`: what a member of staff does with a conversation that the agent handed over."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from agent.handover import HANDOVERS, Handover, HandoverDesk, Packet
from agent.settings import load_settings
from tools.kit.clock import system_clock
from tools.kit.errors import OperatorError
from tools.kit.facts import Why
from tools.shop.ledger import UnknownQuote
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import format_money

app = typer.Typer(name="desk", help="Take over conversations from the agent, write, and give them back.", no_args_is_help=True)
out = Console(highlight=False, emoji=False, soft_wrap=True)

WHY: dict[Why, str] = {
    "asked": "asked for a person",
    "over_cap": "more money than the agent may move",
    "only_staff": "only staff may do it",
    "failed_repeatedly": "the agent failed several times",
    "angry": "the customer is angry",
    "not_covered": "the shop's rules do not cover it",
}

Conversation = Annotated[str, typer.Argument(metavar="ID", help="Id of the conversation, as 'desk list' shows it.")]
Staff = Annotated[str, typer.Option("--staff", help="Who you are.", metavar="NAME")]
Note = Annotated[
    str, typer.Option("--note", help="What was agreed, for the agent and colleagues; the customer does not read it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_desk() -> HandoverDesk:
    """The desk of the data folder that the settings name."""
    return HandoverDesk(load_settings().data_dir / HANDOVERS)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show who waits for a person and who is being helped, the longest wait first."""
    handovers = open_desk().open()
    if as_json:
        _print_json([each.model_dump(mode="json") for each in handovers])
        return
    if not handovers:
        out.print("Nobody waits for a person.")
    now = system_clock()
    for each in handovers:
        out.print(f"[bold]{escape(each.conversation_id)}[/]  {_standing(each, now)}, {WHY[each.why]}")
        out.print(f"  {_who(each)}: {' '.join(each.goal.split())}", markup=False)


@app.command()
def show(conversation: Conversation, as_json: AsJson = False) -> None:
    """Show what is known about a conversation, and all that was said."""
    desk = open_desk()
    packet = desk.packet(conversation)
    said = desk.messages(conversation, notes=True)
    standing = next((each for each in desk.open() if each.conversation_id == packet.conversation_id), None)
    if as_json:
        _print_json(
            {
                "state": standing.state if standing else "none",
                "staff": standing.staff if standing else None,
                "packet": packet.model_dump(mode="json"),
                "messages": [each.model_dump(mode="json") for each in said],
            }
        )
        return
    ended = "not handed over (any more)"
    out.print(f"[bold]{escape(packet.conversation_id)}[/]  {_standing(standing, system_clock()) if standing else ended}")
    _print_part("Why", [WHY[packet.why]])
    _print_part("Customer", [_who(packet) + (", verified" if packet.customer_id else ", not verified")])
    _print_part("Wants", [packet.goal])
    _print_part(
        "Tried",
        [
            f"{each.tool} {json.dumps(each.arguments, ensure_ascii=False)} → {each.outcome}{' (declined)' * each.declined}"
            for each in packet.steps
        ],
    )
    _print_part("Facts", [f"{fact.text} [{fact.source}]" for fact in packet.facts])
    if packet.pending_quote is not None:
        _print_part(
            "Quote that waits for a yes",
            yaml.safe_dump(packet.pending_quote, allow_unicode=True, sort_keys=False).splitlines(),
        )
    _print_part("Said before", [f"{each.speaker}: {each.text}" for each in packet.transcript])
    _print_part(
        "Said at the desk",
        [
            f"{each.at:%Y-%m-%d %H:%M} {'note by ' * (each.speaker == 'note')}{each.staff or each.speaker}: {each.text}"
            for each in said
        ],
    )


@app.command()
def take(
    conversation: Conversation,
    staff: Staff,
    instead_of: Annotated[
        str | None, typer.Option("--instead-of", help="Take it over from this colleague, who is gone.", metavar="NAME")
    ] = None,
) -> None:
    """Hold a conversation: from now on you write and the agent is silent."""
    packet = open_desk().take(conversation, staff, system_clock(), instead_of=instead_of)
    out.print(f"You hold '{packet.conversation_id}'; the agent is silent until you give it back.", markup=False)


@app.command()
def say(
    conversation: Conversation,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the customer reads.")],
    staff: Staff,
) -> None:
    """Write to the customer of a conversation that you hold."""
    open_desk().say(conversation, staff, text, system_clock())
    out.print("Said.")


@app.command("give-back")
def give_back(conversation: Conversation, staff: Staff, note: Note = "") -> None:
    """Let the agent go on with a conversation that you hold."""
    open_desk().give_back(conversation, staff, system_clock(), note)
    out.print("The agent goes on.")


@app.command()
def close(conversation: Conversation, staff: Staff, note: Note = "") -> None:
    """Take a conversation off the list because nothing is left to do. If the customer writes again, the agent answers."""
    open_desk().close(conversation, staff, system_clock(), note)
    out.print("Closed.")


def _who(about: Handover | Packet) -> str:
    if about.customer_id is None:
        return "visitor"
    return f"{about.customer_name} ({about.customer_id})" if about.customer_name else about.customer_id


def _standing(handover: Handover, now: datetime) -> str:
    """Like "[yellow]waits 12 min[/]", in rich's markup."""
    if handover.staff is None:
        return f"[yellow]waits {_ago(handover.waiting_since, now)}[/]"
    unanswered = f", {handover.unanswered} unanswered" if handover.unanswered else ""
    return f"[green]held by {escape(handover.staff)}[/]{unanswered}"


def _ago(then: datetime, now: datetime) -> str:
    minutes = max(0, int((now - then).total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"


def _print_part(title: str, lines: Iterable[str]) -> None:
    """A title and its lines, indented; nothing if there are no lines."""
    shown = [f"  {line}" for each in lines for line in each.splitlines()]
    if shown:
        out.print(f"[bold]{title}[/]")
        out.print("\n".join(shown), markup=False)


def _print_json(value: object) -> None:
    out.file.write(json.dumps(value, ensure_ascii=False) + "\n")


@app.command()
def received(
    quote: Annotated[str, typer.Argument(metavar="QUOTE", help="Reference of the return or exchange.")],
    shop: Annotated[Path, typer.Option(help="Folder of the shop.", metavar="DIR")],
) -> None:
    """The parcel is back and was checked: settle the return or exchange, and pay the refund that waited for it."""
    with SqliteShop.open(shop) as opened:
        try:
            done = opened.ledger.receive(quote, system_clock())
        except UnknownQuote as error:
            raise OperatorError(f"{error}; check the reference, which begins with Q.") from error
        refund = format_money(done.quote.refund_cents, done.quote.currency)
    out.print("It was settled before; nothing was paid twice." if done.again else f"Settled; refunded: {refund}.")
