"""`storehand eval …`: the agent's actions scored by the shop's final state. Every command prints JSON for whatever reads it next."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eval.actions import read_tasks, run_tasks
from eval.scenario_cli import COMMANDS as SCENARIOS
from eval.tau_cli import COMMANDS as TASKS
from tools.kit.clock import system_clock

app = typer.Typer(name="eval", help="Score what the agent does by the shop's final state.", no_args_is_help=True)
err = Console(stderr=True)


for name, command in {**SCENARIOS, **TASKS}.items():
    app.command(name)(command)


@app.command()
def actions(
    shop: Annotated[Path, typer.Option(help="Folder of an imported shop; it is not changed.", metavar="DIR")],
    tasks: Annotated[Path, typer.Option(help="Tasks of tau-bench's form, a JSON list or JSON lines.", metavar="FILE")],
    state: Annotated[
        Path | None,
        typer.Option(help="Write the final orders and users here; then all tasks run on one shop, in a row.", metavar="FILE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict on every task as one JSON object.")] = False,
) -> None:
    """Do the write actions of tasks as quotes that are agreed to and committed. Without --state each task finds the shop as it is."""
    read = read_tasks(tasks)
    columns = (TextColumn("Tasks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        bar = progress.add_task("", total=len(read))
        verdicts, last = run_tasks(shop, read, system_clock, in_a_row=state is not None, done=lambda: progress.advance(bar))
    if state is not None:
        state.write_text(json.dumps(last, ensure_ascii=False, indent=1), encoding="utf-8")
    accepted = sum(verdict["accepted"] for verdict in verdicts)
    if as_json:
        typer.echo(json.dumps({"tasks": verdicts, "accepted": accepted}, ensure_ascii=False))
        return
    for number, verdict in enumerate(verdicts):
        for action in verdict["actions"]:
            if not action["accepted"]:
                typer.echo(f"task {number}: {action['name']}: {action['why']}")
    typer.echo(f"{accepted} of {len(verdicts)} tasks: every write was accepted")
