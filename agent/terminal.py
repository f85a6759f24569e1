"""A conversation in the terminal, and the same as JSON lines for programs."""

import json
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from agent.events import Heard, Said, Step, Turn
from agent.session import Session
from agent.turn import Agent, Message

HELP = "[dim]/photo FILE [words]   /voice FILE   /why   /up   /down \\[reason]   /quit[/]"


def print_turns(agent: Agent, session: Session, messages: Iterable[Message], out: Console, *, as_json: bool) -> None:
    """Send the messages one after the other and print each turn, as text or as one JSON line."""
    for message in messages:
        for event in agent.answer(session, message):
            if isinstance(event, Turn):
                line = json.dumps(event.as_json(), ensure_ascii=False) if as_json else f"> {event.said}\n{event.reply}\n"
                out.file.write(line + "\n")
                out.file.flush()


def talk(agent: Agent, session: Session, out: Console) -> None:
    """Talk until the customer leaves; "/why" shows how the last answer came about."""
    out.print(HELP)
    last: Turn | None = None
    read = 0
    while True:
        for message in agent.from_staff(session, read):
            out.print(f"[bold magenta]{escape(message.staff or '')} ›[/] {escape(message.text)}")
            read = message.entry
        try:
            line = out.input("\n[bold cyan]you ›[/] ").strip()
        except (EOFError, KeyboardInterrupt):
            break
        if line in ("/quit", "/exit"):
            break
        if not line:
            # Enter alone looks whether a colleague has written.
            continue
        if line == "/why":
            _print_why(last, out)
            continue
        if line.partition(" ")[0] in ("/up", "/down"):
            _rate(agent, session, line, out)
            continue
        sent = _message(line, out)
        if sent is None:
            continue
        try:
            last = _print_answer(agent, session, sent, out) or last
        except KeyboardInterrupt:
            out.print("\n[dim](stopped)[/]")
    out.print(f"\n[dim]Go on later with --conversation {session.conversation_id}[/]")


def _message(line: str, out: Console) -> Message | None:
    for command in ("/photo", "/voice"):
        if line == command or line.startswith(command + " "):
            name, _, words = line[len(command) :].strip().partition(" ")
            path = Path(name).expanduser()
            if not path.is_file():
                out.print(f"[yellow]There is no file '{escape(name)}'.[/] {HELP}")
                return None
            return (
                Message(text=words, photo=path.read_bytes())
                if command == "/photo"
                else Message(text=words, voice=path.read_bytes())
            )
    return Message(text=line)


def _print_answer(agent: Agent, session: Session, message: Message, out: Console) -> Turn | None:
    turn = None
    begun = False
    for event in agent.answer(session, message):
        if isinstance(event, Heard):
            out.print(f"[dim]heard: {escape(event.text)}[/]")
        elif isinstance(event, Step):
            out.print(f"[dim]{event.tool} → {len(event.facts)} facts[/]")
        elif isinstance(event, Said):
            out.print("" if begun else "[bold green]shop ›[/] ", end="")
            out.print(event.text, end="", markup=False, soft_wrap=True)
            begun = True
        elif isinstance(event, Turn):
            turn = event
            if turn.held:
                out.print("[dim](a colleague has this conversation and reads this; Enter shows the answer)[/]", end="")
    out.print()
    if turn and turn.quick_replies:
        out.print("   ".join(f"[dim]{number}[/] {escape(reply)}" for number, reply in enumerate(turn.quick_replies, start=1)))
    return turn


def _rate(agent: Agent, session: Session, line: str, out: Console) -> None:
    command, _, reason = line.partition(" ")
    is_kept = agent.rate(session, "up" if command == "/up" else "down", reason.strip())
    out.print("[dim]Thank you, that is noted.[/]" if is_kept else "[dim]There is no answer of the shop's to rate.[/]")


def _print_why(turn: Turn | None, out: Console) -> None:
    if turn is None:
        out.print("[dim]Nothing was said yet.[/]")
        return
    for line in turn.why:
        out.print(f"[dim]· {escape(line)}[/]")
    for step in turn.steps:
        out.print(f"[dim]· {step.tool} {escape(json.dumps(step.arguments, ensure_ascii=False))}[/]")
        for fact in step.facts:
            out.print(f"[dim]    {escape(fact.text)} \\[{escape(fact.source)}][/]")
    seconds = turn.seconds
    out.print(
        f"[dim]· decide {seconds.decide:.1f} s, act {seconds.act:.2f} s, first words {seconds.first_token:.1f} s, "
        f"total {seconds.total:.1f} s[/]"
    )
