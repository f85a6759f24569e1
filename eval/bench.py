"""The `storehand bench` commands: times and scores on this machine, as a table or, with --json, as one JSON line.

These are benchmarks: what they print depends on the machine and on what else it does. The ratios, measured side by side in
one run, depend on it least.
"""

import io
import json
import secrets
import warnings
import wave
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from typer.core import TyperCommand

from agent.settings import IndexSettings, Settings, load_settings

# Every storehand command loads this file, so what is heavy is imported where it is used.
if TYPE_CHECKING:
    from agent.resources import Opened
    from agent.turn import Message
    from tools.catalog.catalog import Catalog
    from tools.catalog.index import Index
    from tools.shop.shop import Shop

app = typer.Typer(no_args_is_help=True, help="Measure speed and quality on this machine.")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

PROJECT = Path(__file__).resolve().parents[1]
"""What the photos of labelled sentences are relative to."""
BAR_CHARACTERS = 40

ShopOption = Annotated[str, typer.Option("--shop", help="Folder of an imported shop, or 'demo'.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON line and nothing else.")]


@app.command()
def turn(
    shop: ShopOption = "demo",
    repeats: Annotated[int, typer.Option(min=1, help="Runs of every measurement; medians are printed.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Compare a warm prefix with a cold one, and a turn with the same model calls made directly."""
    from agent.models.local_gguf import LocalGGUF
    from eval.turn_speed import measure_turns, peak_memory_gib, questions_about, take_turn

    settings = load_settings()
    with _agent_apart(settings, shop) as opened, err.status("") as status:
        if isinstance(opened.model, LocalGGUF):
            # At 0 a turn and its calls made directly write the same, and as much.
            opened.model.temperature = 0
        result = measure_turns(
            opened.agent,
            opened.model,
            questions_about(list(opened.shop.products())),
            repeats=repeats,
            conversations=settings.model.conversations if settings.model.kind == "local_gguf" else 1,
            tell=status.update,
        )
        status.update("loading the models that were not needed so far")
        for message in _messages_for_every_model(opened):
            take_turn(opened.agent, opened.model, message)
    result["peak_memory_gib"] = peak_memory_gib()
    if as_json:
        return _print_json(result)
    _print_bars(
        "seconds",
        {
            "first token, cold prefix": result["first_token_cold_s"],
            "first token, warm prefix": result["first_token_warm_s"],
            "turn": result["turn_median_s"],
            "its model calls, made directly": result["direct_median_s"],
        },
        digits=2,
    )
    _print_table(
        ["what", "measured", "aim"],
        [
            ["first token, warm ÷ cold", f"{result['first_token_warm_over_cold']:.3f}", "≤ 0.15"],
            ["the same for a whole reply's prompt", f"{result['with_facts']['warm_over_cold']:.3f}", ""],
            ["turn ÷ direct calls", f"{result['turn_over_direct_calls']:.3f}", "≤ 1.05"],
            ["turn ÷ the model's time in it", f"{result['turn_over_own_model_time']:.3f}", ""],
            ["peak memory, all models loaded", f"{result['peak_memory_gib']:.2f} GiB", "< 4 GiB"],
        ],
    )


@app.command()
def speech(
    transcripts: Annotated[
        Path | None,
        typer.Option(help="JSON lines with audio and text: word and character error rates.", exists=True, dir_okay=False),
    ] = None,
    slots: Annotated[
        Path | None,
        typer.Option(help="JSON lines with audio and slots: the share of values heard.", exists=True, dir_okay=False),
    ] = None,
    digits: Annotated[
        Path | None,
        typer.Option(
            help="Folder of DIGIT_SPEAKER_NUMBER.wav: the share of six-digit numbers heard right.", exists=True, file_okay=False
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Play the recordings of --transcripts as they are spoken: how soon is the text there?"),
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="So many of each kind.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Hear the same recordings with Storehand's speech recognition and with faster-whisper alone."""
    if not (transcripts or slots or digits):
        raise typer.BadParameter("give --transcripts, --slots or --digits")
    from agent.resources import prepare, transcriber_of
    from eval.speech import faster_whisper_alone, measure_live, measure_speech

    settings = load_settings()
    prepare(settings, err)
    transcriber = transcriber_of(settings)
    if live:
        if transcripts is None:
            raise typer.BadParameter("--live plays the recordings of --transcripts")
        heard = measure_live(transcriber, transcripts, limit)
        if as_json:
            return _print_json(heard)
        return _print_table(["what", "measured"], [[name, f"{value:g}"] for name, value in heard.items()])
    plain = faster_whisper_alone(transcriber.model)
    result = measure_speech(transcriber, plain, transcripts=transcripts, slots=slots, digits=digits, limit=limit)
    if as_json:
        return _print_json(result)
    names = {
        "wer": "words wrong",
        "cer": "characters wrong",
        "slots": "values heard",
        "exact": "order numbers right",
        "rtf": "real-time factor",
    }
    _print_table(
        ["what", "ours", "faster-whisper alone"],
        [
            [
                name,
                *(
                    f"{result[reader][key]:.2f}" if key == "rtf" else f"{result[reader][key]:.1%}"
                    for reader in ("ours", "plain")
                ),
            ]
            for key, name in names.items()
            if key in result["ours"]
        ],
    )


@app.command()
def search(
    products: Annotated[
        Path | None, typer.Option("--products", help="JSON lines with id and name.", exists=True, dir_okay=False)
    ] = None,
    queries: Annotated[
        Path | None, typer.Option("--queries", help="JSON lines with id and query.", exists=True, dir_okay=False)
    ] = None,
    judgements: Annotated[
        Path | None,
        typer.Option("--judgements", help="JSON lines with query_id, product_id and label.", exists=True, dir_okay=False),
    ] = None,
    size: Annotated[list[int] | None, typer.Option(min=1, help="Made catalogue of so many; give it several times.")] = None,
    searches: Annotated[int, typer.Option(min=1, help="Searches of each kind; medians are printed.")] = 10,
    qdrant_url: Annotated[str, typer.Option(help="Measure this Qdrant server in place of qdrant-client's local mode.")] = "",
    as_json: JsonOption = False,
) -> None:
    """With --products, --queries and --judgements: how well search orders them. Else: how fast it is in made catalogues."""
    if products and queries and judgements:
        return _search_quality(products, queries, judgements, as_json=as_json)
    if products or queries or judgements:
        raise typer.BadParameter("give --products, --queries and --judgements together, or none of them")
    return _search_speed(size or [1_000, 20_000], searches, qdrant_url, as_json=as_json)


def _search_quality(products: Path, queries: Path, judgements: Path, *, as_json: bool) -> None:
    from agent.resources import photo_encoder_of, prepare, text_encoder_of
    from eval.search_quality import SHOP, STAGES, Named, measure_quality, read_judged
    from tools.catalog.build import index_shop
    from tools.catalog.catalog import Catalog
    from tools.catalog.edge_index import EdgeIndex
    from tools.kit.json_lines import read_json_lines
    from tools.shop.sqlite_shop import ShopWriter, SqliteShop

    settings = load_settings()
    judged = read_judged(queries, judgements)
    if not judged:
        raise typer.BadParameter(f"no query of '{queries}' has a relevant product in '{judgements}'")
    named = read_json_lines(products, Named)
    prepare(settings, err)
    encoder = text_encoder_of(settings)
    with TemporaryDirectory() as apart:
        folder = Path(apart)
        with ShopWriter(folder) as writer:
            writer.add(SHOP)
            for each in named:
                writer.add(each.as_product())
        index = EdgeIndex(folder / "index")
        try:
            with SqliteShop.open(folder) as shop, err.status("indexing") as status:
                no_photos = lambda: photo_encoder_of(settings)  # noqa: E731  # asked for where a shop has pictures
                tell = lambda done, total: status.update(f"indexing, {done:,} of {total:,}")  # noqa: E731
                index_shop(shop, index, encoder, no_photos, folder / "vectors.sqlite", tell)
                catalog = Catalog.open(shop, index, encoder, no_photos)
                rows = list(_track(measure_quality(catalog, judged), len(STAGES), "stages"))
        finally:
            index.close()
    if as_json:
        return _print_json({row["stage"]: {name: row[name] for name in ("ndcg10", "recall10", "ms")} for row in rows})
    _print_bars("nDCG@10", {row["stage"]: row["ndcg10"] for row in rows}, digits=3)
    _print_table(
        ["stage", "nDCG@10", "recall@10", "ms a query"],
        [[row["stage"], f"{row['ndcg10']:.3f}", f"{row['recall10']:.3f}", f"{row['ms']:.1f}"] for row in rows],
    )
    out.print(f"{len(judged):,} queries with a relevant product, {len(named):,} products")


def _search_speed(sizes: list[int], searches: int, qdrant_url: str, *, as_json: bool) -> None:
    from agent.resources import DEMO_SOURCE
    from eval.search_speed import made_catalogue, measure_search
    from tools.shop.types import Product

    lines = (DEMO_SOURCE / "products.jsonl").read_text(encoding="utf-8").splitlines()
    real = [Product.model_validate_json(line) for line in lines]
    results = []
    with err.status("") as status:
        for size in sizes:
            made = made_catalogue(real, size)
            for adapter in ("edge", "server" if qdrant_url else "server_client_local"):
                with _index_apart(adapter, qdrant_url) as index:
                    status.update(f"{adapter}, {size:,} products")
                    measured = measure_search(index, made, searches)
                results.append({"adapter": adapter, "products": size, **measured})
    if as_json:
        return _print_json({"results": results})
    _print_bars("ms a search", {f"{row['adapter']}, {row['products']:,}": row["search_ms"] for row in results}, digits=1)
    _print_table(
        ["index", "products", "search ms", "filtered ms", "by meaning ÷ reading all", "overlap@10", "filtered overlap@10"],
        [
            [
                row["adapter"],
                f"{row['products']:,}",
                f"{row['search_ms']:.1f}",
                f"{row['filtered_ms']:.1f}",
                f"{row['dense_over_read_all']:.1f}",
                f"{row['overlap_at_10']:.2f}",
                f"{row['filtered_overlap_at_10']:.2f}",
            ]
            for row in results
        ],
    )


@app.command()
def catalog(
    size: Annotated[list[int] | None, typer.Option(min=1, help="Made shop of so many products; give it several times.")] = None,
    asks: Annotated[int, typer.Option(min=1, help="Questions of each kind; medians are printed.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """How long search and recommendation take in large made shops, from the tool's call to its facts, and how exact the index is."""
    import yaml

    from agent.resources import DEMO_SOURCE
    from eval.large_shop import WAYS, measure_large_shop
    from tools.shop.types import Product, ShopInfo

    lines = (DEMO_SOURCE / "products.jsonl").read_text(encoding="utf-8").splitlines()
    real = [Product.model_validate_json(line) for line in lines]
    info = ShopInfo.model_validate(yaml.safe_load((DEMO_SOURCE / "shop.yaml").read_text(encoding="utf-8")))
    results = []
    with err.status("") as status:
        for count in size or [len(real), 20_000, 50_000]:
            status.update(f"{count:,} products")
            with TemporaryDirectory() as apart:
                results.append(measure_large_shop(Path(apart), info, real, count, asks))
    if as_json:
        return _print_json({"results": results})
    _print_table(
        ["products", *(f"{way.replace('_', ' ')}, ms" for way in WAYS), "first answer, s"],
        [
            [
                f"{row['products']:,}",
                *(f"{row[f'{way}_ms']:.1f}" for way in WAYS),
                f"{max(row[f'{way}_first_s'] for way in WAYS):.1f}",
            ]
            for row in results
        ],
    )
    _print_table(
        [
            "products",
            "by meaning ÷ reading all",
            "under a price",
            "overlap@10",
            "under a price",
            "index, MiB",
            "made in, s",
            "peak, MiB",
        ],
        [
            [
                f"{row['products']:,}",
                f"{row['dense_over_read_all']:.2f}",
                f"{row['dense_filtered_ms'] / row['read_all_ms']:.2f}",
                f"{row['overlap_at_10']:.3f}",
                f"{row['filtered_overlap_at_10']:.3f}",
                f"{row['index_mib']:.0f}",
                f"{row['indexed_s']:.0f}",
                f"{row['peak_memory_mib']:.0f}",
            ]
            for row in results
        ],
    )


@app.command()
def choose(
    cases: Annotated[
        list[Path] | None, typer.Option("--cases", help="Files of labelled sentences.", exists=True, dir_okay=False)
    ] = None,
    hint3: Annotated[
        Path | None, typer.Option("--hint3", help="Folder of HINT3: real sentences of two shops' customers.", file_okay=False)
    ] = None,
    shop: ShopOption = "demo",
    customer: Annotated[str | None, typer.Option(help="Id of the customer who is signed in.")] = "c001",
    limit: Annotated[int | None, typer.Option(min=1, help="So many sentences, spread over the files.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Let the agent choose the first tool for labelled sentences: right, asked back, wrong without asking, calibration, time."""
    from agent.train.hint3 import read_hint3
    from eval.choose import Case, misses, read_cases, run_cases, score

    read = [case for file in cases or () for case in read_cases(file)] + [
        Case(**case.model_dump()) for case in (read_hint3(hint3) if hint3 else [])
    ]
    if not read:
        raise typer.BadParameter("give --cases FILE or --hint3 FOLDER with at least one sentence")
    read = read[:: max(1, len(read) // limit)][:limit] if limit else read
    with _agent_apart(load_settings(), shop) as opened:
        # Refuses a customer whom the shop does not have.
        customer_id = opened.session(customer, None).customer_id
        pictures = (name for product in opened.shop.products() for name in product.pictures)
        any_photo = next((opened.shop.picture(name) for name in pictures), None)
        tried = run_cases(opened.agent, read, customer_id=customer_id, photos=PROJECT, any_photo=any_photo)
        outcomes = list(_track(tried, len(read), "choices"))
    result = score(outcomes)
    if as_json:
        return _print_json(result)
    _print_bars("right", {**result["by_language"], f"all {result['cases']}": result["accuracy"]}, digits=3)
    _print_table(
        ["what", "measured", "aim"],
        [
            ["asked back", f"{result['asked']:.1%}", "≤ 8 %"],
            ["… offering a right tool, or rightly because none is", f"{result['asked_rightly']:.1%}", ""],
            ["wrong without asking", f"{result['wrong_and_sure']:.1%}", "≤ 2 %"],
            ["calibration error", f"{result['ece']:.3f}", ""],
            ["seconds a choice, median", f"{result['seconds_median']:.2f}", ""],
            ["model calls a choice, mean", f"{result['model_calls_mean']:.2f}", "≤ 1.2"],
        ],
    )
    _print_table(
        ["tool", "cases", "right", "asked"],
        [[tool, f"{row['cases']}", f"{row['right']:.1%}", f"{row['asked']:.1%}"] for tool, row in result["by_tool"].items()],
    )
    _print_table(
        ["missed", "chosen or asked", "sure", "right"],
        [
            [
                miss["say"],
                " or ".join(miss["asked"]) + " ?" if miss["asked"] else _tool(miss["chosen"]),
                "" if miss["share"] is None else f"{miss['share']:.2f}",
                " or ".join(map(_tool, miss["right"])),
            ]
            for miss in misses(outcomes)
        ],
    )


@app.command()
def replies(
    cases: Annotated[
        list[Path], typer.Option("--cases", help="A file of facts and questions; give it several times.", exists=True)
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="So many cases, spread over the files.")] = None,
    shop: ShopOption = "demo",
    as_json: JsonOption = False,
) -> None:
    """Let the chat model write replies from facts, and score them as written and as sent after the promise check."""
    from agent.turn import prefix_of
    from eval.replies import CRITERIA, measure_replies, misses, read_cases, score, spread, words_of

    read = [case for file in cases for case in read_cases(file)]
    chosen = spread(read, limit)
    with _agent_apart(load_settings(), shop) as opened:
        opened.load_model()
        tried = measure_replies(opened.model, prefix_of(opened.shop), chosen, words_of(read))
        outcomes = list(_track(tried, len(chosen), "replies"))
    result = {**score(outcomes), "misses": misses(outcomes)}
    if as_json:
        return _print_json(result)
    _print_bars(
        "% right",
        {f"{what}, {stage}": 100 * result[stage][what] for what in (*CRITERIA, "all") for stage in ("written", "sent")},
        digits=0,
    )
    _print_table(
        ["language", "written, all right", "sent, all right"],
        [
            [language, f"{by['written']['all']:.0%}", f"{by['sent']['all']:.0%}"]
            for language, by in result["by_language"].items()
        ],
    )
    _print_table(
        ["said", "sent", "missed"], [[miss["said"], miss["sent"], ", ".join(miss["missed"])] for miss in result["misses"]]
    )
    out.print(f"{result['cases']} replies, {result['seconds_median']:.1f} s each (median)")


@app.command()
def ladder(
    cases: Annotated[list[Path], typer.Option("--cases", help="Files of labelled sentences.", exists=True, dir_okay=False)],
    shop: ShopOption = "demo",
    limit: Annotated[int | None, typer.Option(min=1, help="So many sentences, spread over the files.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the rungs into this SVG file.", metavar="FILE.svg")] = None,
    as_json: JsonOption = False,
) -> None:
    """Choose the same sentences by the chat model alone, with examples, and by each part of the chooser: what each is worth."""
    from agent.turn import prefix_of
    from eval.choose import read_cases
    from eval.ladder import climb, draw_rungs, rungs

    read = [case for file in cases for case in read_cases(file)]
    read = read[:: max(1, len(read) // limit)][:limit] if limit else read
    with _agent_apart(load_settings(), shop) as opened:
        chooser = opened.agent_with.keywords["chooser"]
        opened.load_model()
        ways = rungs(chooser, opened.model, prefix_of(opened.shop))
        results = dict(_track(climb(ways, read), len(ways), "ways to choose"))
    if plot is not None:
        plot.write_text(draw_rungs(results, len(read)), encoding="utf-8")
    if as_json:
        return _print_json({"cases": len(read), "rungs": results})
    _print_bars("right", {name: row["accuracy"] for name, row in results.items()}, digits=3)
    _print_table(
        ["way to choose", *results[next(iter(results))]["by_language"], "seconds a choice"],
        [
            [name, *(f"{share:.1%}" for share in row["by_language"].values()), f"{row['seconds_median']:.2f}"]
            for name, row in results.items()
        ],
    )


@app.command()
def labels(
    cases: Annotated[list[Path], typer.Option("--cases", help="Files of labelled sentences.", exists=True, dir_okay=False)],
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the curves into this SVG file.", metavar="FILE.svg")] = None,
    as_json: JsonOption = False,
) -> None:
    """Learn prompts/examples/ label by label, the most informative first and at random: what each label is worth."""
    from agent.examples import all_examples
    from agent.resources import prepare, text_encoder_of
    from eval.choose import read_cases
    from eval.labels import INFORMATIVE, RANDOM, draw_curves, measure_labels

    read = [case for file in cases for case in read_cases(file)]
    settings = load_settings()
    prepare(settings, err)
    with err.status("") as status:
        result = measure_labels(
            text_encoder_of(settings), all_examples(), read, tell=lambda share, what: status.update(f"{share:.0%} {what}")
        )
    if plot is not None:
        plot.write_text(draw_curves(result), encoding="utf-8")
    if as_json:
        return _print_json(result)
    informed, drawn = (result["curves"][name] for name in (INFORMATIVE, RANDOM))
    _print_table(
        ["labels", INFORMATIVE, RANDOM, "from … to"],
        [
            [
                f"{first['labels']:,}",
                f"{first['accuracy']:.1%}",
                f"{second['accuracy']:.1%}",
                f"{second['least']:.1%} … {second['most']:.1%}" if "least" in second else "",
            ]
            for first, second in zip(informed, drawn, strict=True)
        ],
    )
    start = result["start"]
    out.print(
        f"{result['cases']} cases; labels beside the {start['sentences']:,} sentences of {' and '.join(start['writers'])}"
    )


@app.command()
def photos(
    grocery: Annotated[
        Path | None, typer.Option("--grocery", help="Folder of the Grocery Store Dataset.", exists=True, file_okay=False)
    ] = None,
    listed: Annotated[
        Path | None, typer.Option("--list", help="Its list of photos, like val.txt.", exists=True, dir_okay=False)
    ] = None,
    clothing: Annotated[
        Path | None,
        typer.Option("--clothing", help="Folder of the Clothing dataset, or of one split of it.", exists=True, file_okay=False),
    ] = None,
    unseen: Annotated[
        str,
        typer.Option(
            metavar="CLASSES",
            help="Classes of the grocery store, with commas between them: a model is trained without them, which takes a quarter of an "
            "hour, and no photos of them are in the gallery. Figures of their photos alone stand under 'unseen'.",
        ),
    ] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="So many photos, spread over the list.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for customers' photos: among catalogue pictures, among these and training photos, and among names in both languages."""
    from agent.resources import photo_encoder_of, photo_pair_of, prepare
    from eval.photos import PhotoModels, measure_clothing, measure_grocery, read_labelled_photos

    if (grocery is None) != (listed is None) or not (grocery or clothing):
        raise typer.BadParameter("give --grocery with --list, or --clothing, or all three")
    left_out = [name.strip() for name in unseen.split(",") if name.strip()]
    if left_out and not grocery:
        raise typer.BadParameter("classes of the grocery store are left out of --grocery and --list; give both")
    settings = load_settings()
    prepare(settings, err)
    trained = None
    if left_out and grocery:
        from agent.train.cli import photo_model_without

        learnt = clothing if clothing and (clothing / "train").is_dir() else None
        trained = photo_model_without(settings, grocery, learnt, left_out)
    models = PhotoModels(photo_encoder_of(settings, trained), *photo_pair_of(settings, trained))
    result: dict[str, Any] = {}
    if grocery and listed:
        labelled = read_labelled_photos(grocery, listed, limit)
        track = lambda each, what: _track(each, len(each), what)  # noqa: E731
        result = measure_grocery(settings, models, grocery, labelled, left_out, track)
    if clothing:
        worn = measure_clothing(models, clothing)
        result = {**result, "clothing": worn} if result else worn
    if as_json:
        return _print_json(result)
    rows = {
        f"{which}{what}": row
        for which, its in (("", result), ("unseen, ", result.get("unseen", {})), ("clothing, ", result.get("clothing", {})))
        for what, row in its.items()
        if "top1" in str(row) and what not in ("unseen", "clothing")
    }
    _print_table(["", "top-1", "top-5"], [[what, f"{row['top1']:.1%}", f"{row['top5']:.1%}"] for what, row in rows.items()])


@app.command("photo-words")
def photo_words(
    grocery: Annotated[
        Path, typer.Option("--grocery", help="Folder of the Grocery Store Dataset.", exists=True, file_okay=False)
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="So many questions of each shop, spread over all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Search with a photo and words ("like this, but in blue"): choose the photo's weight on one part, and compare on the other."""
    from agent.resources import DEMO_SOURCE, photo_encoder_of, prepare, text_encoder_of
    from eval.photo_words import best_worth, measure_shop
    from eval.photos import Remembering
    from tools.catalog.ranking import PHOTO_WORTH

    settings = load_settings()
    prepare(settings, err)
    texts, pictures = Remembering(text_encoder_of(settings)), Remembering(photo_encoder_of(settings))
    results = {}
    with err.status("") as status:
        for shop, source_format, source in (("demo", "jsonl", DEMO_SOURCE), ("grocery", "grocery-store", grocery)):
            status.update(f"asking {shop}")
            with TemporaryDirectory() as apart:
                results[shop] = measure_shop(source_format, source, Path(apart), texts, pictures, limit)
    best = best_worth([*results.values()])
    if as_json:
        return _print_json({**results, "best_worth": float(best), "worth": PHOTO_WORTH})
    _print_table(
        [
            "shop",
            "questions",
            "photo alone",
            "words alone",
            *(f"photo × {worth}" for worth in results["demo"]["told_on"]["both"]),
        ],
        [
            [
                f"{shop}, {part.replace('_', ' ')}",
                f"{row['questions']}",
                *(f"{value:.3f}" for value in (row["photo"], row["words"], *row["both"].values())),
            ]
            for shop, parts in results.items()
            for part, row in parts.items()
        ],
    )
    out.print(f"nDCG@10; best where chosen: {best}, in use: {PHOTO_WORTH:g}")


@app.command()
def faq(
    train: Annotated[Path, typer.Option("--train", help="CSV of sentences and labels to learn.", exists=True, dir_okay=False)],
    test: Annotated[
        Path, typer.Option("--test", help="CSV to sort; other labels mean no answer.", exists=True, dir_okay=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Learn a shop's FAQ from sentences, and sort others: how many get the right answer, or rightly none (form of HINT3)."""
    from eval.faq import faq_entries, measure_faq, read_labelled

    asked = read_labelled(test)
    with _clauses_apart(faq_entries(read_labelled(train))) as (catalog, shop), err.status("asking"):
        result = measure_faq(catalog, shop, asked)
    if as_json:
        return _print_json(result)
    _print_table(
        ["what", "measured", "of", "aim"],
        [
            ["right answer nearest", _share(result["in_scope_accuracy"]), f"{result['in_scope']} that have one", "≥ 85 %"],
            ["no answer where there is none", _share(result["out_of_scope_recall"]), f"{result['out_of_scope']} without", ""],
            ["both together", _share(result["accuracy"]), "all", "≥ 76 %"],
        ],
    )


@app.command()
def policy(
    documents: Annotated[
        Path | None, typer.Option("--documents", help="JSON lines of documents.", exists=True, dir_okay=False)
    ] = None,
    questions: Annotated[
        Path | None, typer.Option("--questions", help="JSON lines of what is asked of them.", exists=True, dir_okay=False)
    ] = None,
    language: Annotated[str, typer.Option("--language", help="Of the documents: en or zh.")] = "en",
    cases: Annotated[
        list[Path] | None,
        typer.Option(
            "--cases", help="Questions to the demo shop, as in eval/cases/policy_*.jsonl.", exists=True, dir_okay=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the documents that questions need, indexed as a shop's rules; or ask the demo shop's rules, in both languages and in one."""
    from eval.policy_recall import measure_recall, read_clauses, read_questions

    if language not in ("en", "zh"):
        raise typer.BadParameter("give --language en or zh")
    if (documents is None) != (questions is None) or (documents is None) == (not cases):
        raise typer.BadParameter("give --documents with --questions, or --cases")
    if cases:
        return _policy_answers(cases, as_json)
    assert documents is not None
    assert questions is not None
    asked = read_questions(questions)
    with _clauses_apart(read_clauses(documents, "zh" if language == "zh" else "en")) as (catalog, _):
        result = measure_recall(catalog, asked, "zh" if language == "zh" else "en")
    if as_json:
        return _print_json(result)
    _print_table(
        ["questions", "found in the first five", "most possible"],
        [[f"{result['questions']}", _share(result["recall5"]), _share(result["most_possible"])]],
    )


def _policy_answers(cases: list[Path], as_json: bool) -> None:
    from agent.resources import DEMO_SOURCE
    from eval.policy_answers import FORMS, clauses_in_form, measure_answers, read_cases

    asked = read_cases(cases)
    result = {}
    for form in FORMS:
        with _clauses_apart(clauses_in_form(DEMO_SOURCE / "clauses.jsonl", form)) as (catalog, shop):
            result[form] = measure_answers(catalog, shop, asked)
    if as_json:
        return _print_json(result)
    _print_table(
        ["clauses in", "questions in", "right clause first", "covered, but none", "“not covered”: recall", "precision"],
        [
            [form, spoken, *(_share(row[key]) for key in ("right", "silent", "not_covered_recall", "not_covered_precision"))]
            for form, by_language in result.items()
            for spoken, row in by_language.items()
        ],
    )


@contextmanager
def _clauses_apart(clauses: "Iterable[dict[str, Any]]") -> "Iterator[tuple[Catalog, Shop]]":
    """A shop with these clauses and its catalogue, thrown away afterwards."""
    from agent.resources import import_and_index, photo_encoder_of, text_encoder_of
    from eval.policy_recall import write_clauses
    from tools.catalog.catalog import Catalog
    from tools.catalog.edge_index import EdgeIndex
    from tools.shop.sqlite_shop import SqliteShop

    # In the process: a temporary shop has no place on a server.
    settings = load_settings().model_copy(update={"index": IndexSettings()})
    with TemporaryDirectory() as apart:
        folder = Path(apart) / "shop"
        write_clauses(clauses, Path(apart) / "source")
        import_and_index(settings, "jsonl", Path(apart) / "source", folder, err)
        index = EdgeIndex(folder / "index")
        with SqliteShop.open(folder) as shop:
            try:
                yield Catalog.open(shop, index, text_encoder_of(settings), lambda: photo_encoder_of(settings)), shop
            finally:
                index.close()


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


@app.command()
def size(
    measurements: Annotated[
        Path,
        typer.Option("--measurements", help="Measured people, as CSV; see tools/sizes/fit.py.", exists=True, dir_okay=False),
    ],
    shop: ShopOption = "demo",
    as_json: JsonOption = False,
) -> None:
    """Advise measured women by height and weight alone: how often the size is right, and how far the estimates are off."""
    from agent.resources import DEMO, DEMO_SOURCE
    from eval.size_choices import measure_sizes
    from tools.shop.sqlite_shop import SqliteShop
    from tools.shop.types import SizeChart

    if shop == DEMO:
        # The charts are in the source: no import, no index, no models.
        lines = (DEMO_SOURCE / "size_charts.jsonl").read_text(encoding="utf-8").splitlines()
        charts = [SizeChart.model_validate_json(line) for line in lines]
    else:
        with SqliteShop.open(Path(shop)) as opened:
            charts = opened.size_charts()
    result = measure_sizes(measurements, charts)
    if as_json:
        return _print_json(result)
    models = [name for name in ("held_out", "shipped_model") if name in result]
    rows = [
        (f"{model.replace('_', ' ')}, {spoken}", result[model][spoken]) for model in models for spoken in ("stated", "measured")
    ]
    _print_table(
        ["height and weight", "people", "size exact", "within one", "errors mm", "80 % hold"],
        [
            [
                name,
                f"{row['people']}",
                f"{row['size_exact']:.1%}",
                f"{row['size_within_one']:.1%}",
                " ".join("" if error is None else f"{error:.0f}" for error in row["mean_error_mm"].values()),
                " ".join("" if share is None else f"{share:.0%}" for share in row["interval_80_holds"].values()),
            ]
            for name, row in rows
        ]
        + [
            [name.replace("_", " "), "", f"{row['size_exact']:.1%}", f"{row['size_within_one']:.1%}", "", ""]
            for name, row in result["baselines"].items()
        ],
    )


class SeveralValues(TyperCommand):
    """Reads what follows an option as its values, where it takes several: --train A B C, as --train A --train B --train C."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        several = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        spread: list[str] = []
        for each in args:
            if not each.startswith("-") and len(spread) > 1 and spread[-2] in several:
                spread.append(spread[-2])
            spread.append(each)
        return super().parse_args(ctx, spread)


@app.command(cls=SeveralValues)
def recommend(
    train: Annotated[
        list[Path], typer.Option("--train", help="Invoices to learn from, as CSV.GZ.", exists=True, dir_okay=False)
    ],
    test: Annotated[list[Path], typer.Option("--test", help="Later invoices, to foretell.", exists=True, dir_okay=False)],
    limit: Annotated[int | None, typer.Option(min=1, help="So many customers of each kind, drawn at random.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the result into this SVG file.", metavar="FILE.svg")] = None,
    fit: Annotated[bool, typer.Option("--fit", help="Look for better weights instead, and print them.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Foretell customers' next baskets: what the recommender finds, against popularity and item to item."""
    from agent.resources import prepare, text_encoder_of
    from eval.recommend import draw_ladder, fit_weights, measure_recommendations, read_baskets

    (learnt, names), (later, _) = read_baskets(train), read_baskets(test)
    settings = load_settings()
    prepare(settings, err)
    with err.status("learning, and foretelling"):
        encode = text_encoder_of(settings).passages
        if fit:
            weights, reached = fit_weights(learnt, later, names, encode, limit)
            return _print_json({"weights": weights._asdict(), "ndcg10": reached})
        result = measure_recommendations(learnt, later, names, encode, limit)
    if plot is not None:
        plot.write_text(draw_ladder(result), encoding="utf-8")
    if as_json:
        return _print_json(result)
    kinds = list(result["cases"])
    _print_table(
        ["suggested by", *(f"{kind}: recall@10, nDCG@10" for kind in kinds)],
        [
            [name.replace("_", " "), *(f"{row[kind]['recall10']:.3f}  {row[kind]['ndcg10']:.3f}" for kind in kinds)]
            for name, row in result.items()
            if isinstance(row, dict) and kinds[0] in row and name != "cases"
        ],
    )
    out.print(f"{', '.join(f'{count:,} {kind}' for kind, count in result['cases'].items())} customers")


@app.command()
def server(
    shop: ShopOption = "demo",
    conversations: Annotated[int, typer.Option(min=1, help="Conversations with a chat model that recites.")] = 200,
    at_once: Annotated[int, typer.Option(min=1, help="Of these, held at the same time.")] = 200,
    model_at_once: Annotated[
        list[int] | None, typer.Option(min=1, help="Conversations that ask the real chat model at the same moment.")
    ] = None,
    model: Annotated[bool, typer.Option("--model/--no-model", help="Also measure the real chat model.")] = True,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the result into this SVG file.", metavar="FILE.svg")] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold many conversations at once over HTTP: is any answer lost or mixed up, how long do customers wait, how evenly?"""
    from agent.models.local_gguf import LocalGGUF
    from eval.server_load import ASKS, draw, measure_many, measure_model, reciting, serving

    counts = (model_at_once or [1, 2, 4, 8]) if model else []
    settings = load_settings()
    slots = max([settings.server.turns_at_once, *counts])
    settings = settings.model_copy(update={"model": settings.model.model_copy(update={"conversations": slots})})
    with _agent_apart(settings, shop) as opened, TemporaryDirectory() as folder, err.status("") as status:
        products = [each for each in opened.shop.products() if each.pictures]
        status.update(f"{conversations} conversations, {at_once} at once")
        with (
            reciting(opened, conversations * len(ASKS) * 3, Path(folder)) as agent,
            serving(opened, agent, _data_apart(settings, folder, "many")) as address,
        ):
            measure_many(address, products, conversations=2, at_once=2)  # what is loaded with first use is loaded
            many = measure_many(address, products, conversations=conversations, at_once=at_once)
        result: dict[str, Any] = {"many": many, "model": []}
        if counts:
            status.update("loading the chat model")
            opened.load_model()
            if isinstance(opened.model, LocalGGUF):
                # The same question is answered at the same length.
                opened.model.temperature = 0
            with serving(opened, opened.agent, _data_apart(settings, folder, "model")) as address:
                for count in counts:
                    status.update(f"the chat model, {count} at once")
                    result["model"].append(measure_model(address, products[0], count))
    if plot is not None:
        plot.write_text(draw(result), encoding="utf-8")
    del many["seconds"]
    if as_json:
        return _print_json(result)
    _print_table(
        ["what", "measured", "aim"],
        [
            ["answers lost, mixed up, refused", f"{many['lost']}, {many['mixed']}, {many['refused']}", "0, 0, 0"],
            ["connections lost and read on", f"{many['resumed']}", ""],
            ["whole answer, p50 and p95", f"{many['p50_s']:.2f} s, {many['p95_s']:.2f} s", ""],
            ["p95 ÷ p50", f"{many['p95_over_p50']:.2f}", "≤ 1.8"],
            ["answers a second", f"{many['messages_a_second']:.1f}", ""],
            *(
                [
                    f"chat model, {row['at_once']} at once: first words, whole, slowest ÷ fastest",
                    f"{row['first_words_s']:.1f} s, {row['whole_s']:.1f} s, {row['slowest_over_fastest']:.2f}",
                    "≤ 1.5",
                ]
                for row in result["model"]
            ),
        ],
    )


def _data_apart(settings: Settings, folder: str, name: str) -> Settings:
    """The settings with an empty data folder."""
    apart = Path(folder) / name
    apart.mkdir()
    return settings.model_copy(update={"data_dir": apart})


@contextmanager
def _agent_apart(settings: Settings, shop: str) -> "Iterator[Opened]":
    """The shop's agent, with conversations of its own that are thrown away."""
    from agent.resources import open_agent, prepare, shop_folder

    prepare(settings, err)
    folder = shop_folder(settings, shop, err)
    with (
        TemporaryDirectory() as apart,
        open_agent(settings.model_copy(update={"data_dir": Path(apart)}), str(folder), err) as opened,
    ):
        yield opened


@contextmanager
def _index_apart(adapter: str, qdrant_url: str) -> "Iterator[Index]":
    """An empty index of this kind, deleted afterwards."""
    from qdrant_client import QdrantClient

    from tools.catalog.edge_index import EdgeIndex
    from tools.catalog.server_index import ServerIndex

    if adapter == "edge":
        with TemporaryDirectory() as apart:
            edge = EdgeIndex(Path(apart) / "index")
            try:
                yield edge
            finally:
                edge.close()
        return
    key = load_settings().index.qdrant_api_key.get_secret_value() or None
    client = (
        QdrantClient(url=qdrant_url, api_key=key, check_compatibility=False)
        if qdrant_url
        else QdrantClient(location=":memory:")
    )
    name = f"storehand-bench-{secrets.token_hex(4)}"
    server = ServerIndex(client, name)
    try:
        with warnings.catch_warnings():
            # Local mode tells that it is slow; that is what is being measured.
            warnings.filterwarnings("ignore", "Payload indexes have no effect|Local mode is not recommended", UserWarning)
            yield server
    finally:
        for collection in client.get_collections().collections:
            if collection.name.startswith(name):
                client.delete_collection(collection.name)
        server.close()


def _messages_for_every_model(opened: "Opened") -> "Iterator[Message]":
    """A picture and a silent recording: with them, every model that the settings name is loaded."""
    from agent.turn import Message

    named = (name for product in opened.shop.products() for name in product.pictures)
    if picture := next(named, None):
        yield Message(photo=opened.shop.picture(picture).read_bytes())
    recording = io.BytesIO()
    with wave.open(recording, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * 16_000))
    yield Message(voice=recording.getvalue())


def _tool(name: str | None) -> str:
    return name or "no tool"


def _track(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    return track(items, description=what, total=total, console=err)


def _print_json(result: Any) -> None:
    # Four digits are more than any of these measurements can tell.
    short = json.loads(json.dumps(result), parse_float=lambda text: float(f"{float(text):.4g}"))
    out.file.write(json.dumps(short, ensure_ascii=False) + "\n")


def _print_table(columns: list[str], rows: list[list[str]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)


def _print_bars(unit: str, values: dict[str, float], *, digits: int) -> None:
    """A bar for each value, the longest BAR_CHARACTERS long."""
    table = Table("", unit, "", box=None)
    most = max(values.values()) or 1.0
    for name, value in values.items():
        table.add_row(escape(name), f"{value:.{digits}f}", "█" * max(1, round(BAR_CHARACTERS * value / most)))
    out.print(table)
