"""`storehand eval tau` and `storehand eval zh`: tasks of two benchmarks, played by a rule-based customer with the agent."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eval.actions import read_tasks
from eval.customers.noise import Noise
from tools.kit.errors import OperatorError

# Every storehand command loads this file, so what is heavy is imported where it is used.
if TYPE_CHECKING:
    from eval.tau import Run

err = Console(stderr=True)

ShopOption = Annotated[Path, typer.Option(help="Folder of an imported shop; it is not changed.", metavar="DIR")]
RepeatOption = Annotated[
    int, typer.Option(min=1, max=16, help="Runs of every task, each with a customer who speaks otherwise.")
]
KeepOption = Annotated[
    Path | None,
    typer.Option(
        help="Keep every conversation here, one JSON line each; what is there already is not run again.", metavar="FILE"
    ),
]
NoiseOption = Annotated[str, typer.Option(help="What comes between customer and agent: none, typos or speech.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON line, the last.")]


def tau(
    shop: ShopOption,
    tasks: Annotated[Path, typer.Option(help="Tasks of tau-bench's form, a JSON list or JSON lines.", metavar="FILE")],
    repeat: RepeatOption = 1,
    keep: KeepOption = None,
    noise: NoiseOption = "none",
    as_json: JsonOption = False,
) -> None:
    """Play tau-bench's tasks as conversations of a rule-based customer with the agent; the shop's final state tells who did well."""
    from eval.tau import play
    from tools.kit.clock import system_clock

    read = read_tasks(tasks)
    spoken = _noise(noise)
    _play_all(
        shop,
        [partial(play, task=task, number=number, clock=system_clock, noise=spoken) for number, task in enumerate(read)],
        repeat,
        keep,
        as_json=as_json,
    )


def zh(
    shop: ShopOption,
    tasks: Annotated[Path, typer.Option(help="Tasks of ECom-Bench's form, a JSON list.", metavar="FILE")],
    repeat: RepeatOption = 1,
    keep: KeepOption = None,
    noise: NoiseOption = "none",
    as_json: JsonOption = False,
) -> None:
    """Play ECom-Bench's tasks in Chinese, those that need no picture from the web; the shop's final state tells who did well."""
    from eval.zh import ZhTask, play
    from tools.kit.clock import system_clock

    try:
        read = TypeAdapter(list[ZhTask]).validate_json(tasks.read_bytes())
    except (OSError, ValueError) as error:
        raise OperatorError(f"'{tasks}' holds no tasks ({str(error)[:300]}); see eval/zh.py for their form.") from error
    spoken = _noise(noise)
    _play_all(
        shop,
        [
            partial(play, task=task, number=number, clock=system_clock, noise=spoken)
            for number, task in enumerate(task for task in read if not task.needs_picture)
        ],
        repeat,
        keep,
        as_json=as_json,
    )


COMMANDS: dict[str, Callable[..., None]] = {"tau": tau, "zh": zh}


def _noise(said: str) -> Noise:
    for noise in get_args(Noise):
        if noise == said:
            return cast(Noise, noise)
    raise OperatorError(f"--noise {said!r} is none of none, typos, speech.")


def _play_all(shop: Path, plays: "Sequence[partial[Run]]", repeat: int, keep: Path | None, *, as_json: bool) -> None:
    """Play everything so often that was not kept before, and print what came of it."""
    from agent.settings import load_settings
    from eval.conversation import apart
    from eval.tau import kept_runs, summed_up
    from tools.kit.clock import system_clock

    runs = [run for run in (kept_runs(keep) if keep else []) if run.task < len(plays) and run.repeat < repeat]
    there = {(run.task, run.repeat) for run in runs}
    left = [(number, again) for again in range(repeat) for number in range(len(plays)) if (number, again) not in there]
    columns = (TextColumn("Tasks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress, ExitStack() as opened:
        bar = progress.add_task("", total=len(left) + len(runs), completed=len(runs))
        place = opened.enter_context(apart(load_settings(), shop, system_clock, err)) if left else None
        file = opened.enter_context(keep.open("a", encoding="utf-8")) if keep else None
        for number, again in left:
            assert place is not None, "opened where something is left"
            run = plays[number](place, repeat=again)
            runs.append(run)
            if file:
                file.write(json.dumps(run.as_json(), ensure_ascii=False) + "\n")
                file.flush()
            progress.advance(bar)
    _report(summed_up(runs, repeat), as_json=as_json)


def _report(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    for task in result["tasks"]:
        if task["cause"]:
            typer.echo(f"task {task['task']}: {task['passes']} of {task['runs']} passed: {task['cause']}")
    for cause, count in Counter(task["cause"].split(":")[0] for task in result["tasks"] if task["cause"]).most_common():
        typer.echo(f"{count:>4} {cause}")
    typer.echo(" ".join(f"pass^{k} {share:.3f}" for k, share in result["pass"].items()))
