"""The `storehand` command. Further commands come from packages that announce them under "storehand.commands"."""

import os
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperCommand

from agent.desk import app as desk
from agent.labelling import app as review
from agent.server.staff_command import app as staff
from agent.settings import Settings, load_settings
from agent.train.cli import app as train
from tools.kit.errors import OperatorError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="A customer-service agent for online shops.", rich_markup_mode="rich"
)
app.add_typer(desk, name="desk")
app.add_typer(review, name="review")
app.add_typer(staff, name="staff")
app.add_typer(train, name="train")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

MOST_BYTES = 21 * 1024 * 1024
"""Read of a file at most: a little more than any photo or recording that is accepted, so that a huge file is refused, not loaded."""

ShopOption = Annotated[str, typer.Option("--shop", help="Folder of an imported shop, or 'demo'.")]


class _InOrder(TyperCommand):
    """Keeps the order in which options were given: a photo belongs to the message that follows it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta["order"] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


@app.command(cls=_InOrder)
def chat(
    ctx: typer.Context,
    shop: ShopOption = "demo",
    customer: Annotated[str | None, typer.Option(help="Id of the customer who is signed in.")] = None,
    say: Annotated[list[str] | None, typer.Option(help="A message; several are one conversation.")] = None,
    photo: Annotated[
        list[Path] | None, typer.Option(help="A photo that belongs to the next message.", exists=True, dir_okay=False)
    ] = None,
    voice: Annotated[
        list[Path] | None, typer.Option(help="A recording that belongs to the next message.", exists=True, dir_okay=False)
    ] = None,
    conversation: Annotated[str | None, typer.Option(help="Id of a conversation to go on with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a turn.")] = False,
) -> None:
    """Talk to a shop's agent in the terminal, or send it messages and read its answers as JSON."""
    from agent.resources import open_agent
    from agent.terminal import print_turns, talk
    from agent.turn import Message

    given = _in_order(ctx.meta["order"], {"say": say or [], "photo": photo or [], "voice": voice or []})
    scripted = [
        Message(
            text=os.fsencode(turn["say"]) if "say" in turn else "",
            photo=_read(turn["photo"]) if "photo" in turn else None,
            voice=_read(turn["voice"]) if "voice" in turn else None,
        )
        for turn in given
    ]
    with open_agent(_settings(), shop, err) as opened:
        session = opened.session(customer, conversation)
        if scripted or not sys.stdin.isatty():
            print_turns(opened.agent, session, scripted or _lines(), out, as_json=as_json)
        else:
            # While the customer reads and types.
            loading = Thread(target=opened.load_model)
            loading.start()
            talk(opened.agent, session, out)
            loading.join()


def _in_order(order: list[str | None], values: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The turns: every --say ends one, and so does a second photo or recording before it."""
    turns: list[dict[str, Any]] = []
    pending: dict[str, Any] = {}
    left = {name: iter(given) for name, given in values.items()}
    for name in order:
        if name not in left:
            continue
        if name in pending:
            turns.append(pending)
            pending = {}
        pending[name] = next(left[name])
        if name == "say":
            turns.append(pending)
            pending = {}
    return [*turns, pending] if pending else turns


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES)


def _lines() -> Iterator[Any]:
    from agent.turn import Message

    for line in sys.stdin.buffer:
        if line.strip():
            yield Message(text=line.rstrip(b"\r\n"))


@app.command()
def serve(shop: ShopOption = "demo") -> None:
    """Serve the shop's agent over HTTP: the chat window for its site, the staff console, and the OpenAI-compatible route."""
    from agent.server.command import serve

    serve(_settings(), shop, err)


@app.command()
def setup(shop: ShopOption = "demo") -> None:
    """Fetch the models' weights, prepare the demo shop and its index. What is there already is left alone."""
    from agent.resources import open_agent, prepare

    settings = _settings()
    prepare(settings, err)
    with open_agent(settings, shop, err) as opened:
        opened.load_model()
        err.print("Ready.")


@app.command()
def weights() -> None:
    """List the models' weights: what is there, where it came from and why it is trusted."""
    from agent.weights.store import WeightStore

    settings = _settings()
    for row in WeightStore(settings.cache_dir / "weights", settings.weight_sources).describe():
        checked = f", verified {row.verified_at:%Y-%m-%d %H:%M} UTC, from {row.source}" if row.verified_at else ""
        out.print(f"[bold]{row.name}[/]  {row.bytes / 1e6:,.0f} MB, {row.licence}, {row.state}{escape(checked)}")
        out.print(f"  {row.purpose}\n  {row.trust}\n  {row.folder}", markup=False)
        for name, digest in row.sha256.items():
            out.print(f"  sha256 {digest} {name}\n", style="dim", markup=False, soft_wrap=True)


@app.command("import")
def import_(
    source_format: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="jsonl, shopify, woocommerce, google-merchant, json-ld, tau-retail, litemall, ecom-bench or grocery-store.",
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder to read.", exists=True)],
    shop: Annotated[Path, typer.Option("--shop", help="Folder that becomes the shop.")],
    fetch_pictures: Annotated[
        bool, typer.Option("--fetch-pictures", help="Fetch the pictures that stand at public web addresses.")
    ] = False,
) -> None:
    """Import a shop's products, customers, orders and rules, then index them. Bad rows are reported, the rest is kept."""
    from agent.resources import import_and_index

    report = import_and_index(_settings(), source_format, source, shop, err, fetch_pictures=fetch_pictures)
    for kind, count in sorted(report.accepted.items()):
        out.print(f"{count:>8,} {kind}")
    for rejected in report.rejected[:20]:
        out.print(f"[yellow]rejected[/] {escape(rejected.where)}: {escape(rejected.reason)}")
    for note in report.notes[:10]:
        out.print(f"[dim]note[/] {escape(note.where)}: {escape(note.text)}")
    if report.rejected_count > 20 or len(report.notes) > 10:
        out.print(f"All {report.rejected_count:,} rejected rows and all notes are in '{shop / 'rejected.jsonl'}'.")


@app.command()
def index(shop: ShopOption = "demo") -> None:
    """Bring a shop's index up to date, after its products or clauses or an encoder changed. Running agents see it at once."""
    from agent.resources import reindex

    report = reindex(_settings(), shop, err)
    if not report.rebuilt and not any(each.added or each.changed or each.deleted for each in report.counts.values()):
        out.print("Nothing changed since the last time: there is nothing to do.")
        return
    for kind, each in report.counts.items():
        out.print(
            f"{kind:<10}{each.added:>8,} added {each.changed:>8,} changed {each.deleted:>8,} deleted {each.kept:>8,} kept"
        )
    if report.rebuilt:
        out.print(
            "The whole index was made anew; an agent that runs with another encoder keeps the old one until it is started again."
        )


def _settings() -> Settings:
    return load_settings()


def add_packages_commands() -> None:
    """Add the commands of other packages, each under the name it announces."""
    for point in entry_points(group="storehand.commands"):
        app.add_typer(point.load(), name=point.name)


def main() -> None:
    """Run the command; an operator's error is one clear line and exit code 1."""
    # Read by langgraph when it is first imported: a checkpoint may hold plain data only, never a pickled object.
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    # Read by the OpenMP of torch and of llama.cpp when loaded: threads that spin while they wait starve each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    own = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    if not own & set(sys.argv[1:2]):
        # Importing the other packages' commands takes a second, which a conversation need not wait for.
        add_packages_commands()
    try:
        app()
    except OperatorError as problem:
        err.print(f"[red]{type(problem).__name__}:[/] {escape(str(problem))}", soft_wrap=True)
        sys.exit(1)
