"""The `storehand eval` commands about scenarios: run, compare, policy-diff, from-conversation, schema."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from agent.settings import Settings, load_settings
from tools.kit.errors import OperatorError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

SCENARIOS = Path(__file__).parent / "scenarios"
Threshold = dict[str, float]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def run(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Scenario files or folders; all that ship, if left out.", exists=True)
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Plays of each scenario, for pass^1 … pass^k.")] = 1,
    tag: Annotated[list[str] | None, typer.Option(help="Only scenarios with this tag; several: with any of them.")] = None,
    model: Annotated[str | None, typer.Option(help="A chat model in the place of the settings' own (model.name).")] = None,
    models: Annotated[str, typer.Option(help="all, real, or obeying: which chat models attacks are played with.")] = "all",
    jobs: Annotated[int, typer.Option(min=1, max=16, help="Conversations at the same time.")] = 2,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder of the run; what it holds is not played again.")] = None,
    fresh: Annotated[bool, typer.Option(help="Forget what the folder holds.")] = False,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="Least pass^1 as NUMBER, or for a suite or tag as NAME=NUMBER; below it the exit code is 1. 1.0 if left out."
        ),
    ] = None,
    as_json: JsonOption = False,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit report here.", dir_okay=False)] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report for people here.", dir_okay=False)] = None,
) -> None:
    """Play scenarios and judge what came of them. Broken off, the same command goes on where it was."""
    from eval.running import PLAYS, plan
    from eval.running import run as play_all
    from eval.scenario import read_scenarios
    from eval.scenario_report import html_report, junit_report
    from eval.summary import summary_of

    least = _thresholds(threshold or [])
    if models not in ("all", "real", "obeying"):
        raise typer.BadParameter("--models is all, real or obeying")
    settings = load_settings()
    if model:
        settings = settings.model_copy(update={"model": settings.model.model_copy(update={"name": model})})
    read = read_scenarios(paths or [SCENARIOS])
    if tag:
        read = [(file, each) for file, each in read if set(tag) & {*each.tags, file.parent.name}]
        if not read:
            raise OperatorError(f"no scenario has a tag {' or '.join(tag)}.")
    place = folder or settings.data_dir / "eval"
    if fresh:
        (place / PLAYS).unlink(missing_ok=True)
    planned = plan(read, settings, repeat, models)  # type: ignore[arg-type]  # checked above
    columns = (TextColumn("Plays"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=err) as progress:
        bar = progress.add_task("", total=len(planned))
        failed = 0

        def done(each: Any) -> None:
            nonlocal failed
            failed += not each.passed and each.skipped is None
            progress.update(bar, advance=1, description=f"{failed} failed" if failed else "")

        plays = play_all(planned, settings, place, err, jobs=jobs, done=done)
    summary = summary_of(plays)
    missed = [
        f"{name or 'all'} {rates['1']['value']:.3f} < {wanted}"
        for name, wanted in least.items()
        for rates in [summary["by_tag"].get(name) if name else summary["pass"]]
        if rates and rates["1"]["value"] < wanted
    ]
    if unknown := [name for name in least if name and name not in summary["by_tag"]]:
        raise OperatorError(f"--threshold names {', '.join(unknown)}, which no scenario played is tagged with.")
    summary["missed"] = missed
    if junit:
        junit.write_text(junit_report(plays), encoding="utf-8")
    if html:
        html.write_text(html_report(plays, summary, title=f"Scenarios with {settings.model.name}"), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(summary, ensure_ascii=False))
    else:
        _print(summary)
        out.print(f"Every play: {place / PLAYS}", soft_wrap=True)
    if missed:
        err.print(f"[red]Below the threshold:[/] {'; '.join(missed)}")
        raise typer.Exit(1)


def _thresholds(given: Sequence[str]) -> Threshold:
    """Thresholds by tag; "" is for everything."""
    least: Threshold = {}
    for each in given:
        name, _, number = each.rpartition("=")
        try:
            least[name] = float(number)
        except ValueError:
            raise typer.BadParameter(
                f"--threshold {each}: give a number like 0.9, or a name and a number like core=0.9"
            ) from None
    return least or {"": 1.0}


def _print(summary: dict[str, Any]) -> None:
    ks = list(summary["pass"])
    table = Table(box=None, pad_edge=False)
    for name in ("", "scenarios", *(f"pass^{k}" for k in ks)):
        table.add_column(name, justify="left" if not name else "right")
    for name, rates in {"all": summary["pass"], **summary["by_tag"]}.items():
        cells = [
            f"{rates[k]['value']:.3f} [dim]{rates[k]['low']:.2f}–{rates[k]['high']:.2f}[/]" if k in rates else "" for k in ks
        ]
        table.add_row(escape(name), str(rates["1"]["scenarios"]), *cells)
    out.print(table)
    for group in summary["failures"]:
        out.print(f"[red]{escape(group['cause'])}[/]: {group['plays']} plays")
        for each in group["examples"][:10]:
            out.print(f"  {escape(each['name'])}, turn {each['turn']}: {escape(each['reason'])}", soft_wrap=True)
    if summary["skipped"]:
        out.print(f"[yellow]Skipped:[/] {len(summary['skipped'])}: {escape(summary['skipped'][0]['why'])}")
    out.print(f"{summary['plays']} plays, {summary['seconds']:.0f} s, {summary['model_calls']} model calls")


def compare(
    before: Annotated[Path, typer.Argument(help="Folder of a run (--out).", exists=True, file_okay=False)],
    after: Annotated[Path, typer.Argument(help="Folder of another run.", exists=True, file_okay=False)],
    as_json: JsonOption = False,
    html: Annotated[Path | None, typer.Option(help="Write the differences, side by side, here.", dir_okay=False)] = None,
) -> None:
    """Compare two runs of the same scenarios, of two models, prompts, policies or commits, with McNemar's paired test."""
    from eval.running import kept_plays
    from eval.scenario_report import comparison_report
    from eval.summary import comparison_of

    first, second = (list(kept_plays(folder).values()) for folder in (before, after))
    result = comparison_of(first, second)
    if not result["scenarios"]:
        raise OperatorError(f"'{before}' and '{after}' have no scenario in common; run both with the same scenarios and --out.")
    if html:
        html.write_text(comparison_report(first, second, result, str(before), str(after)), encoding="utf-8")
    if as_json:
        return typer.echo(json.dumps(result, ensure_ascii=False))
    out.print(
        f"{result['scenarios']} scenarios in both: {result['both']} succeed in both, {result['neither']} in neither, "
        f"{result['lost']} only in '{before}', {result['won']} only in '{after}'; p = {result['p']:.3f} (McNemar, exact)",
        soft_wrap=True,
    )
    for each in result["changed"]:
        out.print(
            f"[{'green' if each['after'] else 'red'}]{'now right' if each['after'] else 'now wrong'}[/] {escape(each['name'])}"
        )
        for reason in each["reasons"][:3]:
            out.print(f"  {escape(reason)}", soft_wrap=True)
    for each in result["other_answers"][:20]:
        out.print(f"[yellow]answers otherwise[/] {escape(each)}")


def policy_diff(
    old: Annotated[Path, typer.Argument(help="The rules as they are: policy.yaml.", exists=True, dir_okay=False)],
    new: Annotated[Path, typer.Argument(help="The rules as they shall be.", exists=True, dir_okay=False)],
    paths: Annotated[list[Path] | None, typer.Argument(help="Scenarios; all that ship, if left out.", exists=True)] = None,
    shop: Annotated[str, typer.Option(help="Folder of an imported shop, or 'demo'.")] = "demo",
    as_json: JsonOption = False,
    html: Annotated[Path | None, typer.Option(help="Write the differences, side by side, here.", dir_okay=False)] = None,
) -> None:
    """Tell every scenario and stored conversation whose answers, offers or actions would change with other rules."""
    from eval.policy_diff import policy_changes
    from eval.scenario import read_scenarios
    from eval.scenario_report import policy_report

    settings = load_settings()
    read = [(file, each) for file, each in read_scenarios(paths or [SCENARIOS]) if each.setup.shop == shop]
    columns = (TextColumn("Conversations"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:
        bar = progress.add_task("", total=None)
        tell = lambda so_far, total: progress.update(bar, completed=so_far, total=total)  # noqa: E731
        changes = policy_changes(settings, shop, old, new, read, err, tell)
    if html:
        html.write_text(policy_report(changes, str(old), str(new)), encoding="utf-8")
    if as_json:
        return typer.echo(json.dumps([change.model_dump(mode="json") for change in changes], ensure_ascii=False))
    if not changes:
        return out.print("No answer, offer or action would change.")
    for change in changes:
        out.print(f"[bold]{escape(change.name)}[/], message {change.turn}: {escape(change.said)}", soft_wrap=True)
        out.print(f"  [dim]old:[/] {escape(change.before)}\n  [dim]new:[/] {escape(change.after)}", soft_wrap=True)
    out.print(f"{len({change.name for change in changes})} conversations would go otherwise.")


def from_conversation(
    conversation: Annotated[
        str | None, typer.Argument(help="Id of a conversation that the server kept.", metavar="[ID]")
    ] = None,
    shop: Annotated[str, typer.Option(help="Folder of the imported shop, or 'demo'.")] = "demo",
    thumbs_down: Annotated[bool, typer.Option(help="All conversations in which a customer gave a thumb down.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to; printed if left out.", file_okay=False)
    ] = None,
) -> None:
    """Make a scenario, ready to be edited, of a conversation: private data masked, what the agent did as what is expected."""
    from agent.resources import shop_folder
    from agent.server.scenarios import disliked, scenario_of, scenario_yaml
    from agent.server.store import STORE, Store
    from tools.shop.sqlite_shop import SqliteShop

    if (conversation is None) == (not thumbs_down):
        raise typer.BadParameter("give the ID of a conversation, or --thumbs-down")
    settings = load_settings()
    store = _store(settings, STORE, Store)
    ids = disliked(store) if thumbs_down else [conversation or ""]
    if not ids:
        return err.print("No customer gave a thumb down.")
    opened = SqliteShop.open(shop_folder(settings, shop, err))
    for each in ids:
        made = scenario_of(store, opened, each)
        if made is None:
            raise OperatorError(f"no conversation '{each}' in '{settings.data_dir / STORE}'; the staff console lists them.")
        text = scenario_yaml(made)
        if folder is None:
            out.print(text, markup=False, soft_wrap=True)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{made['name'].replace(' ', '-')}.yaml").write_text(text, encoding="utf-8")
        err.print(f"Wrote {folder / made['name'].replace(' ', '-')}.yaml", soft_wrap=True)


def _store(settings: Settings, name: str, store: Any) -> Any:
    file = settings.data_dir / name
    if not file.is_file():
        raise OperatorError(f"no conversations at '{file}'; they are kept by \"storehand serve\" (settings: data_dir).")
    return store(file)


def schema() -> None:
    """Print the JSON schema of scenario files, for editors: eval/scenarios/schema.json is what it prints."""
    from eval.scenario import schema as schema_of

    typer.echo(json.dumps(schema_of(), indent=1, ensure_ascii=False))


COMMANDS: dict[str, Callable[..., None]] = {
    "run": run,
    "compare": compare,
    "policy-diff": policy_diff,
    "from-conversation": from_conversation,
    "schema": schema,
}
