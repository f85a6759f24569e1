"""`storehand review …`: a person labels what the chooser would learn most from."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from agent.settings import load_settings
from tools.kit.clock import system_clock
from tools.kit.errors import OperatorError

# Every storehand command loads this file, so what is heavy is imported where it is used.
if TYPE_CHECKING:
    from pathlib import Path

    from agent.examples import Before
    from agent.review import Entry, Reason, ReviewList

app = typer.Typer(name="review", help="Label sentences of customers, those first from which the agent learns most.")
out = Console(highlight=False, emoji=False, soft_wrap=True)

LABEL_KEYS: dict[str, str] = {
    "f": "search_products",
    "i": "identify_product",
    "r": "recommend_products",
    "a": "advise_size",
    "p": "answer_from_policy",
    "t": "track_order",
    "b": "quote_return",
    "e": "quote_exchange",
    "c": "quote_cancellation",
    "o": "quote_order_change",
    "d": "quote_address_change",
    "h": "hand_to_human",
    "G": "reply:greeting",
    "T": "reply:thanks",
    "B": "reply:goodbye",
    "A": "reply:agree",
    "M": "reply:about_me",
    "O": "reply:out_of_scope",
    "U": "reply:unclear",
}
"""Small letters are tools, capitals small talk that needs none."""
NAMES: dict[str, str] = {
    "f": "find a product",
    "i": "identify it in a photo",
    "r": "recommend",
    "a": "advise a size",
    "p": "policy and FAQ",
    "t": "track an order",
    "b": "send back",
    "e": "exchange",
    "c": "cancel",
    "o": "order to change",
    "d": "address in the account",
    "h": "human",
    "G": "greeting",
    "T": "thanks",
    "B": "goodbye",
    "A": "agrees",
    "M": "about me, the agent",
    "O": "out of scope",
    "U": "unclear",
}
SKIP, DROP, UNDO, QUIT, EITHER = "s", "x", "u", "q", "w"
LIKELIEST = 3
"""Labels offered under the keys 1 to 3."""
SHOWN_SHARE = 0.02
"""A less likely one is not offered."""
ABOUT: "dict[Before | None, str]" = {
    "shown": "products",
    "order": "an order",
    "policy": "a rule",
    "size": "a size",
    "quote": "an offer",
    None: "nothing yet",
}
WHY: "dict[Reason, str]" = {
    "unsure": "unsure",
    "asked_back": "asked back",
    "handed_over": "handed over",
    "corrected": "the customer corrected it",
    "thumbs_down": "thumbs down",
}

EntryId = Annotated[int, typer.Argument(metavar="ID", help="Number of the sentence, as 'review list' shows it.")]


def open_review() -> "ReviewList":
    """The review list of the data folder that the settings name."""
    from agent.review import REVIEW, ReviewList

    settings = load_settings()
    return ReviewList(settings.data_dir / REVIEW, settings.review)


def labels_folder() -> "Path":
    """Where labels are written."""
    from agent.labels import LABELS

    return load_settings().data_dir / LABELS


@app.callback(invoke_without_command=True)
def each(context: typer.Context) -> None:
    """Label one sentence after the other, one key each; what is labelled is kept at once."""
    if context.invoked_subcommand is None:
        with out.status("Loading the tools …"):
            # Labels are checked against them; a key that is pressed while they load is lost.
            import agent.decide  # noqa: F401
        review = open_review()
        label_each(review, labels_folder(), review.entries(system_clock()), read_key)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the sentences that wait for a label, the most informative first."""
    now = system_clock()
    entries = open_review().entries(now)
    if as_json:
        listed = [{**each.model_dump(mode="json"), "informativeness": round(each.informativeness(), 4)} for each in entries]
        out.file.write(json.dumps(listed, ensure_ascii=False) + "\n")
        return
    if not entries:
        out.print("Nothing waits for a label.")
    for entry in entries:
        out.print(f"[bold]{entry.id}[/]  {escape(entry.said)}")
        likeliest = ", ".join(f"{label} {share:.0%}" for label, share in likeliest_labels(entry))
        out.print(f"  [dim]{_standing(entry, now)}; {escape(entry.done)}; likeliest: {likeliest}[/]")


@app.command("label")
def label_(
    entry: EntryId,
    tools: Annotated[
        str,
        typer.Argument(metavar="TOOL[,TOOL]", help="The right tool, or several between which nobody could decide; reply:KIND."),
    ],
) -> None:
    """Label one sentence: storehand review label 3 track_order."""
    example = open_review().label(entry, tools.split(","), labels_folder())
    out.print(f"{escape(example.say)} → {' or '.join(example.tools)}")


@app.command()
def drop(entry: EntryId) -> None:
    """Take a sentence off the list that is not worth a label."""
    open_review().drop(entry)
    out.print("Dropped.")


def label_each(review: "ReviewList", folder: "Path", entries: "list[Entry]", next_key: Callable[[], str]) -> None:
    """Show each sentence and do what the key says; UNDO goes back to the one before, as it was.

    `next_key` returns one character, "" when there is no more.
    """
    if not entries:
        out.print("Nothing waits for a label.")
        return
    out.print(_legend())
    done: list[bool] = []
    """Of each sentence before this one: whether something is to be undone."""
    while len(done) < len(entries):
        entry = entries[len(done)]
        out.print(_card(entry, len(done) + 1, len(entries)))
        if not _answer(review, folder, entries, done, next_key):
            break
    changed = sum(done)
    out.print(f"{changed} of {len(entries)} sentences labelled or dropped.")
    if changed:
        out.print('[dim]The agent learns from the labels with "storehand train chooser".[/]')


def _answer(
    review: "ReviewList", folder: "Path", entries: "list[Entry]", done: list[bool], next_key: Callable[[], str]
) -> bool:
    """Read keys until one answers the sentence at hand; False to stop."""
    from agent.review import NoEntry

    entry = entries[len(done)]
    while True:
        key = next_key()
        if key in (QUIT, ""):
            return False
        try:
            if key == UNDO:
                if done and done.pop():
                    review.undo(entries[len(done)].id, folder)
                return True
            if key == SKIP:
                done.append(False)
                return True
            if key == DROP:
                review.drop(entry.id)
            elif chosen := labels_of(key, entry):
                review.label(entry.id, chosen, folder)
            else:
                out.print(_legend())
                continue
        except NoEntry as gone:
            # A colleague was faster, or the sentence was forgotten meanwhile.
            out.print(f"[yellow]{escape(str(gone))}[/]")
            done.append(False)
            return True
        done.append(True)
        out.print(f"[dim]→ {' or '.join(chosen) if key != DROP else 'dropped'}[/]")
        return True


def labels_of(key: str, entry: "Entry") -> list[str]:
    """The labels that a key stands for at this sentence; [] for a key that means nothing here."""
    likeliest = [label for label, _ in likeliest_labels(entry)]
    if key == EITHER:
        return likeliest[:2] if len(likeliest) > 1 else []
    if key.isdecimal():
        return likeliest[int(key) - 1 : int(key)] if int(key) else []
    return [LABEL_KEYS[key]] if key in LABEL_KEYS else []


def likeliest_labels(entry: "Entry") -> list[tuple[str, float]]:
    """The two or three labels that the chooser thought likeliest, with their shares."""
    named = [(f"reply:{entry.talk}" if tool == "reply" else tool, share) for tool, share in entry.shares.items()]
    return [each for rank, each in enumerate(named[:LIKELIEST]) if rank < 2 or each[1] >= SHOWN_SHARE]


def read_key() -> str:
    """One key from the terminal; "" where there is no terminal or the person leaves. Raises OperatorError without a terminal."""
    if not sys.stdin.isatty():
        raise OperatorError("'storehand review' reads keys from a terminal; elsewhere use 'storehand review label ID TOOL'.")
    try:
        return typer.getchar()
    except (KeyboardInterrupt, EOFError):
        return ""


def _card(entry: "Entry", number: int, count: int) -> Panel:
    keys = {label: key for key, label in LABEL_KEYS.items()}
    lines = [Text(entry.said, style="bold"), Text()]
    lines.append(Text(f"before: {ABOUT[entry.before]}{'; with a photo' if entry.photo else ''}", style="dim"))
    lines.append(Text(f"done:   {entry.done}", style="dim"))
    if entry.comment:
        lines.append(Text(f"told:   {entry.comment}", style="dim"))
    lines.append(Text())
    for rank, (label, share) in enumerate(likeliest_labels(entry), start=1):
        lines.append(Text(f"{rank}  {share:>4.0%}  {label} ({keys.get(label, '')})"))
    why = _standing(entry, system_clock())
    return Panel(Group(*lines), title=f"{number} of {count} · {entry.language} · {why}", title_align="left")


def _legend() -> Text:
    named = "   ".join(f"{key} {name}" for key, name in NAMES.items())
    return Text(
        f"{named}\n1 2 3 the likeliest   {EITHER} the first or the second, one would have to ask   "
        f"{SKIP} skip   {DROP} not a useful sentence   {UNDO} undo   {QUIT} quit",
        style="dim",
    )


def _standing(entry: "Entry", now: datetime) -> str:
    """Like "unsure, asked back; 3 times, last 2 days ago"."""
    days = max(0, (now - entry.last_at).days)
    last = "today" if days == 0 else f"{days} day{'s' * (days > 1)} ago"
    return f"{', '.join(WHY[reason] for reason in entry.reasons)}; {entry.times} time{'s' * (entry.times > 1)}, last {last}"
