"""`storehand replay`: what the agent would have said in recorded calls, and what changes between two such runs."""

import shutil
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.core import TyperGroup

from agent.settings import load_settings
from tools.kit.errors import OperatorError

# Every storehand command loads this file, so what is heavy is imported where it is used.

CALLS = "calls"
_SHOWN = 40
err = Console(stderr=True, highlight=False)
out = Console(highlight=False)


class _CallsFirst(TyperGroup):
    """`storehand replay FILE…` is `storehand replay calls FILE…`: what is no command is a call."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [CALLS, *args]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


app = typer.Typer(
    name="replay",
    cls=_CallsFirst,
    no_args_is_help=True,
    help='Let the agent answer recorded calls, on a copy of the shop: "storehand replay CALLS… --shop DIR --out DIR".',
)


@app.command(CALLS)
def replay_calls(
    calls: Annotated[list[Path], typer.Argument(metavar="CALLS…", help="Files of calls, or folders that hold them.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the report; a run that was stopped goes on from it.")],
    shop: Annotated[str, typer.Option(help="Folder of an imported shop, or 'demo'; it is not changed.")] = "demo",
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Calls side by side; half of the processors if it is not given.")
    ] = None,
) -> None:
    """Replay recorded calls (the command itself need not be named): report.html, report.json, junit.xml and drafts.jsonl in
    --out."""
    from agent.models.local_gguf import LocalGGUF
    from agent.resources import CHOOSER, open_agent, prepare, shop_folder, text_encoder_of, transcriber_of
    from eval.conversation import copy_shop
    from eval.replay.batch import replay_all
    from eval.replay.overall import overall
    from eval.replay.readers import find_calls
    from eval.replay.report import write_report
    from tools.kit.clock import system_clock

    files = find_calls(calls)
    if not files:
        raise OperatorError(f"no file of a call in {', '.join(map(str, calls))}; see eval/replay/readers for the forms.")
    folder.mkdir(parents=True, exist_ok=True)
    settings = load_settings()
    prepare(settings, err)
    original = shop_folder(settings, shop, err)
    columns = (TextColumn("Calls"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with TemporaryDirectory(prefix="storehand-") as scratch:
        copy = Path(scratch) / original.resolve().name
        copy_shop(original, copy)
        apart = settings.model_copy(update={"data_dir": Path(scratch) / "data"})
        apart.data_dir.mkdir()
        if (own := settings.data_dir / CHOOSER).exists():
            shutil.copy(own, apart.data_dir / CHOOSER)
        with (
            open_agent(apart, str(copy), err) as opened,
            Progress(*columns, console=err, disable=not err.is_terminal) as progress,
        ):
            bar = progress.add_task("", total=len(files))
            opened.reindex()  # an index may be older than the shop, and lack the rules of the day of a call
            if isinstance(opened.model, LocalGGUF):
                # Two runs shall differ by what was changed between them, not by chance.
                opened.model.temperature = 0

            def tell(stage: str, name: str) -> None:
                progress.update(bar, description=escape(f"{stage} {name}"), advance=stage != "heard")

            replayed, failed = replay_all(
                opened, copy, files, folder, settings, lambda: transcriber_of(settings), at_once=at_once, tell=tell
            )
            name = opened.shop.info.name.in_language("en")
    summed = overall(replayed, len(failed), lambda: text_encoder_of(settings))
    html = write_report(folder, name, replayed, failed, summed, system_clock())
    for each in failed:
        err.print(f"[yellow]not replayed[/] {escape(each.id)}: {escape(each.why)}", soft_wrap=True)
    ended = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in sorted(summed.outcomes.items()))
    out.print(f"{summed.calls} calls: {ended or 'none'}; {summed.contradictions} answers contradict the person's.")
    if summed.known:
        out.print(f"{summed.right} of {summed.known} ended as expected.")
    out.print(f"{html}", soft_wrap=True)
    if not replayed:
        raise typer.Exit(1)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="--out of one run.", exists=True, file_okay=False)],
    after: Annotated[Path, typer.Argument(help="--out of another.", exists=True, file_okay=False)],
    html: Annotated[Path | None, typer.Option(help="Write it as a page, too.", metavar="FILE")] = None,
) -> None:
    """Tell which calls change between two runs (another model, prompt or policy), and how."""
    from eval.replay.compared import changes, read_run
    from eval.report_html import bar_chart, page, section, table

    one, two = read_run(before), read_run(after)
    if not one or not two:
        raise OperatorError(f"no replayed call in '{before if not one else after}'; name the --out of \"storehand replay\".")
    found = changes(one, two)
    changed = len({each.call for each in found})
    kinds = Counter(each.kind for each in found)
    header = ["call", "turn", "what", f"{before}", f"{after}"]
    rows = [[each.call, str(each.turn or "–"), each.kind, each.before, each.after] for each in found]
    if html is not None:
        lead = f"{changed} of {len(one.keys() | two.keys())} calls change from {before} to {after}."
        parts = [
            section("What changes", bar_chart("Changes by kind", {kind: float(count) for kind, count in kinds.items()})),
            section("Every change", table(header, rows)),
        ]
        html.write_text(page("Two runs compared", lead, parts), encoding="utf-8")
    shown = Table(*header)
    for row in rows[:_SHOWN]:
        shown.add_row(*(escape(value if len(value) <= 120 else f"{value[:117]} …") for value in row))
    if rows:
        out.print(shown)
    if len(rows) > _SHOWN:
        out.print(f"… and {len(rows) - _SHOWN} more; --html FILE has them all.")
    out.print(f"{changed} of {len(one.keys() | two.keys())} calls change.")
