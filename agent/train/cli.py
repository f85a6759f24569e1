"""`storehand train …`: fine-tuning on this machine."""

import hashlib
import json
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from agent.settings import Settings, load_settings
from tools.kit.errors import OperatorError

# Every storehand command loads this file, so what is heavy is imported where it is used.
if TYPE_CHECKING:
    from agent.train.lessons import Case, Lesson
    from agent.train.lora import Progress as RunProgress
    from agent.train.lora import Student
    from agent.train.pictures import Tell

app = typer.Typer(name="train", help="Fine-tune models on this machine.", no_args_is_help=True)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

EXTRA = ("peft", "gguf", "accelerate", "pypinyin")
"""What the extra `train` installs."""
CASES = Path(__file__).resolve().parents[2] / "eval" / "cases"
DEFAULT_BASE = "qwen2.5-coder-0.5b"
BEFORE_FULL, BEFORE, AFTER = "base, long prompt", "base", "base + adapter"
"""The rows of the table: the agent's own prompt of 1,000 tokens and more, and twice the short one that the adapter was trained with."""


@app.command()
def chat(
    base: Annotated[
        str, typer.Option(help="A name of `storehand weights`, a .gguf file, or a model of the hub.")
    ] = DEFAULT_BASE,
    rank: Annotated[int, typer.Option(min=1, max=256, help="Width of what is added to each weight.")] = 16,
    layers: Annotated[int | None, typer.Option(min=1, help="How many of the last layers learn; a third if not given.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Times that each lesson is seen at most.")] = 3,
    limit: Annotated[
        int | None, typer.Option(min=2, help="Lessons, balanced over tools and languages; all if not given.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the adapter; in the data folder if not given.")
    ] = None,
    cases: Annotated[
        list[Path] | None,
        typer.Option("--cases", help="Labelled sentences to try before and after.", exists=True, dir_okay=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume/--no-resume", help="Go on from the checkpoint in --out.")] = True,
) -> None:
    """Teach a chat model to choose tools from a short prompt and to write from facts, as a LoRA adapter (GGUF).

    Prints right choices, loss and speed before and after, and keeps them beside the adapter with a model card.
    """
    require_extra()
    settings = load_settings()
    source, name, licence = _base(settings, base)
    folder = folder or settings.data_dir / "adapters" / name

    from agent.train import lora
    from agent.train.gguf_adapter import ARCHITECTURES, write_gguf_adapter
    from agent.train.lessons import choose, hold_out, load_decisions, load_replies, read_cases

    files = sorted(CASES.glob("choose_dev.*.jsonl")) if cases is None else cases
    tried = read_cases(files)
    lessons = choose([*load_decisions(), *load_replies()], limit, seed=0)
    learnt, held_out = hold_out(lessons, seed=0)
    if not learnt or not held_out:
        raise OperatorError(
            f"{len(lessons)} lessons are too few to train on; see prompts/examples and prompts/replies.*.jsonl."
        )
    checkpoint = folder / "checkpoint.pt"
    if not resume:
        checkpoint.unlink(missing_ok=True)
    err.print(f"{len(learnt)} lessons, {len(held_out)} held out; base {escape(name)}; into '{escape(str(folder))}'.")
    err.print("Loading the base …")
    tokenizer = lora.load_tokenizer(source)
    weights = lora.load_weights(source)
    if weights.config.model_type not in ARCHITECTURES:
        raise OperatorError(
            f"'{weights.config.model_type}' cannot be trained for llama.cpp; take one of {', '.join(ARCHITECTURES)}."
        )
    depth = len(weights.model.layers)
    plan = lora.Plan(rank=rank, layers=layers or max(1, depth // 3), epochs=epochs)
    student = lora.Student(weights, plan)
    to_learn, to_judge = lora.tokenize(learnt, tokenizer), lora.tokenize(held_out, tokenizer)
    key = lora.fingerprint(plan, name, to_learn, to_judge)
    run = _train(student, to_learn, to_judge, checkpoint, key)

    adapter = folder / f"{name}-chat.gguf"
    folder.mkdir(parents=True, exist_ok=True)
    write_gguf_adapter(
        adapter, student.learnt, architecture=student.architecture, layers=depth, alpha=plan.alpha, name=adapter.stem
    )
    student.model.peft_config["default"].base_model_name_or_path = name
    # The vocabulary does not learn; to find that out by itself, peft would ask the hub.
    student.model.save_pretrained(str(folder / "peft"), save_embedding_layers=False)
    facts = {
        "name": adapter.stem,
        "base": name,
        "licence": licence,
        "adapter": str(adapter),
        "rank": rank,
        "alpha": f"{plan.alpha:g}",
        "layers": plan.layers,
        "depth": depth,
        "parameters": f"{sum(weight.numel() for weight in student.learnt.values()):,}",
        **_counted(learnt, held_out),
        "steps": run.step,
        "best_step": run.best_step,
        "batch": lora.BATCH,
        "learning_rate": plan.learning_rate,
        "seed": plan.seed,
        "minutes": f"{run.seconds / 60:.1f}",
        "tokens_s": f"{run.tokens / max(run.seconds, 1e-9):.0f}",
        "steps_s": f"{run.step / max(run.seconds, 1e-9):.3f}",
        "device": str(student.device),
        "cases": len(tried),
        "files": ", ".join(path.name for path in files) or "no file",
        "command": shlex.join(["storehand", *sys.argv[1:]]) if sys.argv[1:2] == ["train"] else "storehand train chat",
    }
    # The measurement loads the base once more, for llama.cpp.
    del student, weights
    result = _compared(source, adapter, tried) if isinstance(source, Path) and tried else {}
    measured = {**facts, "looks": run.looks, "tried": result}
    (folder / "measured.json").write_text(json.dumps(measured, ensure_ascii=False, indent=1), encoding="utf-8")
    rows = _rows(result, run)
    card = Template(Path(__file__).with_name("card.md").read_text(encoding="utf-8"))
    (folder / "README.md").write_text(card.substitute(facts, figures=_markdown(rows)), encoding="utf-8")
    table = Table(*rows[0])
    for row in rows[1:]:
        table.add_row(*row)
    out.print(table)
    out.print(f"Adapter: {escape(str(adapter))}", soft_wrap=True)


@app.command()
def chooser(
    file: Annotated[
        Path | None,
        typer.Option(
            "--out", help="File of the chooser, for instance to try it; else the one that the agent uses.", metavar="FILE"
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Times that each sentence is seen; 1, and 4 with --fresh, if not given.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Learn anew, not on from the chooser that comes with Storehand.")
    ] = False,
    hint3: Annotated[
        Path | None, typer.Option("--hint3", help="Folder of HINT3, whose real sentences are learnt too.", file_okay=False)
    ] = None,
) -> None:
    """Fit what chooses the tool on prompts/examples/ and on the sentences labelled with `storehand review`.

    Takes a quarter of an hour on two free cores, anew an hour; interrupted, the same command goes on at the last whole epoch. Prints
    the figures on writers whom it did not read, and writes a model card beside the file.
    """
    require_extra()
    settings = load_settings()
    from agent.chooser.chooser import SHIPPED
    from agent.examples import all_examples
    from agent.labels import LABELS, own_examples
    from agent.resources import CHOOSER, prepare, text_encoder_of
    from agent.train.chooser_report import figure_rows, last_writers, listed, write_card
    from agent.train.hint3 import hint3_examples

    own = own_examples(settings.data_dir / LABELS)
    real = hint3_examples(hint3) if hint3 else []
    examples = [*all_examples(), *real, *own]
    held_out = last_writers(examples)
    target = file or settings.data_dir / CHOOSER
    err.print(
        f"{len(examples):,} sentences, {len(own):,} of them your own and {len(real):,} of HINT3; into '{escape(str(target))}'."
    )
    prepare(settings, err)

    from agent.train import chooser as training

    plan = training.Plan(held_out=held_out, epochs=epochs or (4 if fresh else 1), begin=None if fresh else SHIPPED)
    with _shares() as tell:
        card = training.train_chooser(text_encoder_of(settings), examples, plan, target, settings.cache_dir / "train", tell)
    described = write_card(
        target,
        card,
        examples,
        shlex.join(["storehand", *sys.argv[1:]]) if sys.argv[1:2] == ["train"] else "storehand train chooser",
        rank=training.RANK,
        learning_rate=f"{training.LEARNING_RATE * (1 if fresh else training.GOING_ON):g}",
        head_learning_rate=f"{training.HEAD_LEARNING_RATE * (1 if fresh else training.GOING_ON):g}",
        batch=training.BATCH,
    )
    head, *rows = figure_rows(card)
    table = Table(*head, title=f"on {listed(held_out)}, whom it had not read")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    out.print(f"Chooser: {escape(str(target))}\nModel card: {escape(str(described))}", soft_wrap=True)


@app.command()
def photos(
    grocery: Annotated[
        Path | None, typer.Option(help="Folder of the Grocery Store Dataset.", exists=True, file_okay=False)
    ] = None,
    clothing: Annotated[
        Path | None, typer.Option(help="Folder of the Clothing dataset (small).", exists=True, file_okay=False)
    ] = None,
    shop: Annotated[
        str | None, typer.Option("--shop", help="Go on with the pictures of this shop: its folder, or 'demo'; then index it.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--out", help="File of the model; else the one in use.", metavar="FILE")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Times that each photo is seen at most.")] = 5,
) -> None:
    """Train the embedded photo model: on both data sets, as it comes with Storehand, or further on a shop's own pictures.

    Prints what was found before and after; what finds no more than before is not kept. Interrupted, the same command goes on.
    """
    if (shop is None) == (grocery is None) or (grocery is None) != (clothing is None):
        raise typer.BadParameter("give --shop, or --grocery and --clothing")
    from agent.resources import PHOTO_MODEL, photo_base_of, photo_weights_of, prepare, reindex, shop_folder
    from agent.train.photos import Plan, learn_data_sets, learn_shop
    from agent.train.photos_report import write_card
    from tools.catalog.photo_model import TRAINED
    from tools.shop.sqlite_shop import SqliteShop

    settings = load_settings()
    prepare(settings, err)
    command = shlex.join(["storehand", *sys.argv[1:]]) if sys.argv[1:2] == ["train"] else "storehand train photos"
    plan, cache = Plan(epochs=epochs), settings.cache_dir / "train" / "photos"
    how = "validation photos"
    with _shares() as tell:
        if grocery and clothing:
            target = file or TRAINED
            course = learn_data_sets(photo_base_of(settings, None), grocery, clothing, (), plan, target, command, cache, tell)
        else:
            folder = shop_folder(settings, str(shop), err)
            target = file or folder / PHOTO_MODEL
            with SqliteShop.open(folder) as opened:
                course, how = learn_shop(photo_base_of(settings, TRAINED), opened, plan, target, command, cache, tell)
    table = Table("found first", "before", "after", title=f"held out: {how}")
    for name in course.before:
        table.add_row(name, f"{course.before[name]:.1%}", f"{course.after[name]:.1%}")
    out.print(table)
    if not course.best:
        return out.print("No epoch found more than before: nothing was written.")
    out.print(f"Photo model: {escape(str(target))} (epoch {course.best} of {len(course.looks) - 1})", soft_wrap=True)
    if grocery and clothing:
        described = write_card(target, course, plan, command, photo_weights_of(settings), grocery, clothing)
        out.print(f"Model card: {escape(str(described))}", soft_wrap=True)
    if shop is not None and file is None:
        reindex(settings, shop, err)


@app.command()
def words(
    shop: Annotated[str, typer.Option("--shop", help="Folder of an indexed shop, or 'demo'.")],
    pairs: Annotated[
        Path,
        typer.Option("--pairs", help="JSON lines or CSV: query, and product_id that it led to.", exists=True, dir_okay=False),
    ],
    epochs: Annotated[int, typer.Option(min=1, help="Times that each pair is seen at most.")] = 20,
) -> None:
    """Teach search what a shop's customers mean, from what they looked for and what they then clicked or bought.

    Half of the queries are learnt, a quarter tells when to stop, and the rest how much was gained: nDCG@10 and recall@10 before and
    after. What finds no more than before is not kept. Interrupted, the same command goes on.
    """
    require_extra()
    settings = load_settings()
    from agent.own_queries import OwnQueries
    from agent.resources import OWN_QUERIES, open_index, photo_encoder_of, prepare, shop_folder, text_encoder_of
    from agent.train.words import KEPT_BY, Plan, lessons_of, measure_queries, read_pairs, split_queries, train_words
    from tools.catalog.catalog import Catalog
    from tools.shop.sqlite_shop import SqliteShop

    read = read_pairs(pairs)
    prepare(settings, err)
    folder = shop_folder(settings, shop, err)
    encoder = text_encoder_of(settings)
    target = folder / OWN_QUERIES
    no_photos = lambda: photo_encoder_of(settings)  # noqa: E731  # asked for where a question has a photo
    with SqliteShop.open(folder) as opened:
        index, catalog = open_index(settings, opened, folder, encoder)
        try:
            lessons = lessons_of(opened, index, read)
            learn, stop_by, told = split_queries(lessons.answers)
            err.print(f"{len(learn):,} queries to learn, {len(stop_by):,} to stop by, {len(told):,} to tell the figures on.")
            with _shares() as tell, TemporaryDirectory() as apart:
                file, kept = Path(apart) / OWN_QUERIES, settings.cache_dir / "train"
                course = train_words(encoder, lessons, learn, stop_by, Plan(epochs=epochs), file, kept, tell)
                before = measure_queries(catalog, lessons, told)
                own = OwnQueries(encoder, file) if course.best else encoder.queries
                after = measure_queries(Catalog.open(opened, index, encoder, no_photos, own), lessons, told)
                gained = course.best > 0 and after[KEPT_BY] > before[KEPT_BY]
                if gained:
                    shutil.copyfile(file, target)
        finally:
            index.close()
    table = Table("", "before", "after", title=f"on {len(told):,} queries that nothing was learnt from")
    for name in before:
        table.add_row(name, f"{before[name]:.3f}", f"{after[name]:.3f}")
    out.print(table)
    if not gained:
        return out.print("It finds no more than before: nothing was written. More queries would tell more.")
    out.print(f"Own queries: {escape(str(target))} (epoch {course.best} of {len(course.looks) - 1})", soft_wrap=True)


def photo_model_without(settings: Settings, grocery: Path, clothing: Path | None, unseen: Sequence[str]) -> Path:
    """The model trained without these classes, and kept, so that it is trained once. For measuring.

    In three epochs: of five the best was the fourth, by half a point, and who measures waits for all of them.
    """
    from agent.resources import photo_base_of
    from agent.train.photos import Plan, learn_data_sets

    cache = settings.cache_dir / "train" / "photos"
    plan = Plan(epochs=3)
    named = hashlib.sha256(f"{plan} {sorted(unseen)} {clothing is not None}".encode()).hexdigest()[:16]
    target = cache / f"without-{named}.safetensors"
    if not target.exists():
        with _shares() as tell:
            learn_data_sets(
                photo_base_of(settings, None), grocery, clothing, unseen, plan, target, "storehand bench photos", cache, tell
            )
    if not target.exists():
        raise OperatorError("without these classes, no epoch found more than before; leave fewer out.")
    return target


@contextmanager
def _shares() -> "Iterator[Tell]":
    """Shows how much of a training is done: a bar on a terminal, else a line now and then."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task("Learning", total=1.0)
        told = 0

        def tell(share: float, what: str) -> None:
            nonlocal told
            progress.update(task, completed=share, description=escape(what))
            if not err.is_terminal and int(share * 20) > told:
                told = int(share * 20)
                err.print(f"{share:.0%}: {what}", markup=False)

        yield tell


def require_extra() -> None:
    """Raise OperatorError unless the packages of the extra `train` are installed."""
    missing = [package for package in EXTRA if find_spec(package) is None]
    if missing:
        raise OperatorError(f"fine-tuning needs {', '.join(missing)}; run: pip install 'storehand[train]'")


def _base(settings: Settings, base: str) -> tuple[Path | str, str, str]:
    """Where the base is (a file, or a name of the hub), a name for files, and its licence."""
    from agent.weights.store import WeightStore

    store = WeightStore(settings.cache_dir / "weights", settings.weight_sources)
    if base in store.models:
        with Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=err) as progress:
            file = next(store.ensure(base, progress).glob("*.gguf"), None)
        if file is None:
            raise OperatorError(f"'{base}' is no chat model; take one of `storehand weights` that is a .gguf file.")
        return file, base, store.models[base].licence
    if base.endswith(".gguf"):
        if not Path(base).is_file():
            raise OperatorError(f"no model file at '{base}'; run \"storehand weights\" to see what is there.")
        return Path(base).resolve(), Path(base).stem, "see the base"
    return base, base.rsplit("/", 1)[-1].lower(), "see the base"


def _train(student: "Student", learnt: Sequence[Any], held_out: Sequence[Any], checkpoint: Path, key: str) -> "RunProgress":
    """Train with a bar on a terminal, and a line for each look at the lessons held out everywhere."""
    from agent.train import lora

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        reading = progress.add_task("Reading", total=sum(len(each.read) for each in (*learnt, *held_out)), told="tokens")
        steps = progress.add_task("Learning", total=None, told="", start=False)
        told = 0
        began = time.monotonic()

        def read(tokens: int) -> None:
            progress.advance(reading, tokens)
            if progress.tasks[0].finished:
                err.print(f"read {progress.tasks[0].completed:,.0f} tokens in {time.monotonic() - began:.0f} s")

        def shown(run: "RunProgress", total: int, loss: float) -> None:
            nonlocal told
            progress.start_task(steps)
            speed = run.tokens / max(run.seconds, 1e-9)
            left = run.seconds / run.step * (total - run.step)
            progress.update(steps, completed=run.step, total=total, told=f"loss {loss:.3f}, {speed:.0f} tokens/s")
            if len(run.looks) > told or run.step == 1:
                told = len(run.looks)
                held = ", ".join(f"{name} {value:.3f}" for name, value in run.looks[-1].items() if name != "step")
                err.print(
                    f"step {run.step} of {total}: loss {loss:.3f}; held out at step {run.looks[-1]['step']}: {held}; "
                    f"{speed:.0f} tokens/s; {left / 60:.0f} min left"
                )

        return lora.train(
            student,
            learnt,
            held_out,
            checkpoint,
            key=key,
            read=read,
            shown=shown,
        )


def _compared(source: Path, adapter: Path, cases: "Sequence[Case]") -> dict[str, Any]:
    """The decisions of llama.cpp on the cases: the base with the agent's prompt and with the short one, and the adapter."""
    from agent.models.llama_engine import load_engine
    from agent.train.measure import full_prompt, measure_decisions, short_prompt

    result: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        for file, prompts in (
            (None, {BEFORE_FULL: full_prompt(), BEFORE: short_prompt}),
            (adapter, {AFTER: short_prompt}),
        ):
            engine = load_engine(source, adapter=file, conversations=1)
            for name, prompt in prompts.items():
                task = progress.add_task(name, total=len(cases))
                result[name] = measure_decisions(engine, cases, prompt, lambda task=task: progress.advance(task))  # type: ignore[misc]
                err.print(f"{name}: {result[name]['right']:.1%} right, {result[name]['seconds_median']:.2f} s a decision")
            del engine
    return result


def _counted(learnt: "Sequence[Lesson]", held_out: "Sequence[Lesson]") -> dict[str, int]:
    return {
        "decisions": sum(lesson.kind == "decision" for lesson in learnt),
        "replies": sum(lesson.kind == "reply" for lesson in learnt),
        "held_out": len(held_out),
    }


def _rows(result: dict[str, Any], run: "RunProgress") -> list[list[str]]:
    """The table, its head first; empty where something was not measured."""
    before = run.looks[0]
    after = next(look for look in run.looks if look["step"] == run.best_step)
    languages = sorted({language for each in result.values() for language in each["by_language"]})
    rows = [
        ["", *(f"right, {language}" for language in languages), "right", "s a decision", "loss, decisions", "loss, replies"]
    ]
    for name in (BEFORE_FULL, BEFORE, AFTER):
        measured = result.get(name)
        look = {BEFORE: before, AFTER: after}.get(name, {})
        if measured is None and name == BEFORE_FULL:
            continue
        shares = [f"{measured['by_language'][language]:.1%}" for language in languages] if measured else []
        rows.append(
            [
                name,
                *shares,
                f"{measured['right']:.1%}" if measured else "",
                f"{measured['seconds_median']:.2f}" if measured else "",
                *(f"{look[kind]:.3f}" if kind in look else "" for kind in ("decision", "reply")),
            ]
        )
    return rows


def _markdown(rows: list[list[str]]) -> str:
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body))
