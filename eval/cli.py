"""`storehand eval …`: the agent's actions scored by the shop's final state. Every command prints JSON for whatever reads it next."""

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eval.actions import Task, run_tasks
from tools.kit.clock import system_clock
from tools.kit.errors import OperatorError

app = typer.Typer(name="eval", help="Score what the agent does by the shop's final state.", no_args_is_help=True)
err = Console(stderr=True)


@app.callback()
def _group() -> None:
    """Keeps `eval` a group of commands while it has only one."""


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
    read = _read_tasks(tasks)
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


@app.command()
def tau(
    shop: Annotated[Path, typer.Option(help="Folder of an imported shop; it is not changed.", metavar="DIR")],
    tasks: Annotated[Path, typer.Option(help="Tasks of tau-bench's form, a JSON list or JSON lines.", metavar="FILE")],
    repeat: Annotated[int, typer.Option(min=1, max=16, help="Runs of every task, each with a customer who speaks otherwise.")] = 1,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep every conversation here, one JSON line each; what is there already is not run again.", metavar="FILE"),
    ] = None,
    noise: Annotated[str, typer.Option(help="What comes between customer and agent: none, typos or speech.")] = "none",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON line, the last.")] = False,
) -> None:
    """Play tau-bench's tasks as conversations of a rule-based customer with the agent; the shop's final state tells who did well."""
    from agent.settings import load_settings
    from eval.conversation import apart
    from eval.tau import kept_runs, play, summed_up

    if noise not in ("none", "typos", "speech"):
        raise OperatorError(f"--noise {noise!r} is none of none, typos, speech.")
    read = _read_tasks(tasks)
    runs = [run for run in (kept_runs(keep) if keep else []) if run.task < len(read) and run.repeat < repeat]
    there = {(run.task, run.repeat) for run in runs}
    left = [(number, again) for again in range(repeat) for number in range(len(read)) if (number, again) not in there]
    columns = (TextColumn("Tasks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress, ExitStack() as opened:
        bar = progress.add_task("", total=len(left) + len(runs), completed=len(runs))
        place = opened.enter_context(apart(load_settings(), shop, system_clock, err)) if left else None
        file = opened.enter_context(keep.open("a", encoding="utf-8")) if keep else None
        for number, again in left:
            assert place is not None, "opened where something is left"
            run = play(place, read[number], number, again, system_clock, noise)
            runs.append(run)
            if file:
                print(json.dumps(run.as_json(), ensure_ascii=False), file=file, flush=True)
            progress.advance(bar)
    result = summed_up(runs, repeat)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    for task in result["tasks"]:
        if task["cause"]:
            typer.echo(f"task {task['task']}: {task['passes']} of {task['runs']} passed: {task['cause']}")
    for cause, count in Counter(task["cause"].split(":")[0] for task in result["tasks"] if task["cause"]).most_common():
        typer.echo(f"{count:>4} {cause}")
    typer.echo(" ".join(f"pass^{k} {share:.3f}" for k, share in result["pass"].items()))


def _read_tasks(path: Path) -> list[Task]:
    try:
        text = path.read_text(encoding="utf-8")
        rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines() if line]
        return TypeAdapter(list[Task]).validate_python(rows)
    except (OSError, ValueError, ValidationError) as error:
        raise OperatorError(f"'{path}' holds no tasks ({str(error)[:300]}); see eval/actions.py for their form.") from error
