"""The benchmarks' plumbing on a small made shop; what a real machine is like, no test can know."""

import json
import wave
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import typer
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LanguageModelInput
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver
from numpy.typing import NDArray
from pydantic import Field
from typer.testing import CliRunner

from agent.chooser.evidence import Evidence
from agent.handover import HANDOVERS, HandoverDesk
from agent.models.decision import bind_arguments, decided_chunk, parse_decision
from agent.session import Session
from agent.settings import TurnSettings
from agent.turn import Agent, Message
from eval import bench
from eval.large_shop import WAYS, measure_large_shop
from eval.search_speed import DIMENSIONS, made_catalogue, measure_search
from eval.turn_speed import call_directly, measure_turns, questions_about, take_turn
from tools.catalog.build import index_shop
from tools.catalog.catalog import Catalog
from tools.catalog.edge_index import EdgeIndex
from tools.catalog.index import Hit
from tools.kit.clock import system_clock
from tools.kit.errors import OperatorError
from tools.shop.importers import import_shop
from tools.shop.sqlite_shop import SqliteShop
from tools.shop.types import LocalText, Product, ShopInfo, Variant
from tools.transcribe_speech import Transcript

SEARCH_KEYS = {"search_ms", "filtered_ms", "dense_ms", "read_all_ms", "dense_over_read_all", "overlap_at_10"}


class WordCounts:
    """Texts as vectors of their characters: alike where they share many."""

    dimensions = 64
    fingerprint = "character-counts"

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.full((len(texts), self.dimensions), 1e-3, dtype=np.float32)
        for row, text in enumerate(texts):
            for pair in zip(text.lower(), text.lower()[1:], strict=False):
                vectors[row, zlib.crc32("".join(pair).encode()) % self.dimensions] += 1
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    passages = queries


class OnlySearches:
    """A chooser by which every message asks for products."""

    def look_up(self, *_: Any, **__: Any) -> Evidence:
        return Evidence({"search_products": 1.0}, "unclear")


class Obliging(BaseChatModel):
    """Always looks for tents, and always writes the same; keeps every request with its options."""

    asked: list[tuple[list[BaseMessage], dict[str, Any]]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "obliging"

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, allow_reply: bool | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(**bind_arguments(tools, tool_choice, allow_reply), **kwargs)

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        self.asked.append((list(messages), kwargs))
        if tools := kwargs.get("tools"):
            said = json.dumps({"tool": "search_products", "arguments": {"query": "tent"}})
            yield ChatGenerationChunk(message=decided_chunk(parse_decision(said, tools), None, "obliging"))
            return
        for word in ("We ", "have ", "it."):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def product(number: int, title: str, pictures: tuple[str, ...] = ()) -> Product:
    return Product(
        id=f"p{number}",
        title=LocalText(en=title, zh=f"帐篷{number}"),
        category=LocalText(en="Tents"),
        variants=(Variant(id=f"v{number}", price_cents=1000 * number, stock=3),),
        pictures=pictures,
    )


TENTS = [product(1, "Dome Tent"), product(2, "Tunnel Tent"), product(3, "Pop-up Tent")]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SqliteShop]:
    source = tmp_path / "source"
    source.mkdir()
    source.joinpath("shop.yaml").write_text("name: {en: Camp, zh: 露营}\ncurrency: EUR\ntimezone: Europe/Berlin\n")
    source.joinpath("products.jsonl").write_text("\n".join(each.model_dump_json() for each in TENTS), encoding="utf-8")
    import_shop("jsonl", source, tmp_path / "shop", today=date(2026, 5, 4))
    with SqliteShop.open(tmp_path / "shop") as opened:
        yield opened


@pytest.fixture
def make_agent(shop: SqliteShop, tmp_path: Path) -> Iterator[Callable[[BaseChatModel], Agent]]:
    encoder: Any = WordCounts()
    index = EdgeIndex(tmp_path / "shop" / "index")
    index_shop(shop, index, encoder, lambda: encoder, tmp_path / "vectors.sqlite")
    catalog = Catalog.open(shop, index, encoder, lambda: encoder)

    chooser: Any = OnlySearches()

    def make(model: BaseChatModel) -> Agent:
        return Agent(
            shop=shop,
            catalog=catalog,
            model=model,
            chooser=chooser,
            transcriber=lambda: pytest.fail("no voice was sent"),
            checkpointer=InMemorySaver(),
            desk=HandoverDesk(tmp_path / HANDOVERS),
            settings=TurnSettings(),
            clock=system_clock,
        )

    yield make
    index.close()


QUESTION = Message(text="do you have the dome tent in stock?")


def test_the_calls_made_directly_are_the_ones_the_turn_made(make_agent: Callable[[BaseChatModel], Agent]) -> None:
    model = Obliging()
    taken = take_turn(make_agent(model), model, QUESTION)
    in_the_turn = list(model.asked)
    assert taken.turn is not None
    assert len(taken.calls) == len(in_the_turn) == taken.turn.model_calls >= 1
    again = call_directly(model, taken.calls)
    replayed = model.asked[len(in_the_turn) :]
    assert [messages for messages, _ in replayed] == [messages for messages, _ in in_the_turn]
    assert [options for _, options in replayed] == [options for _, options in in_the_turn]
    assert again.calls == taken.calls
    assert 0 < taken.model_seconds <= taken.seconds


def test_recording_leaves_the_model_as_it_was(make_agent: Callable[[BaseChatModel], Agent]) -> None:
    model = Obliging()
    take_turn(make_agent(model), model, QUESTION)
    assert model.callbacks is None


def test_every_repeat_is_a_new_conversation_with_the_same_prompts(make_agent: Callable[[BaseChatModel], Agent]) -> None:
    model = Obliging()
    agent = make_agent(model)
    first, second = take_turn(agent, model, QUESTION), take_turn(agent, model, QUESTION)
    assert [call.messages for call in first.calls] == [call.messages for call in second.calls]


def test_turns_are_compared_with_their_calls_and_a_warm_prefix_with_a_cold_one(
    make_agent: Callable[[BaseChatModel], Agent], shop: SqliteShop
) -> None:
    model = Obliging()
    questions = questions_about(list(shop.products()))
    result = measure_turns(make_agent(model), model, questions, repeats=2, conversations=3)
    assert result["with_facts"]["warm_over_cold"] > 0
    for ratio in ("first_token_warm_over_cold", "turn_over_direct_calls", "turn_over_own_model_time"):
        assert result[ratio] > 0
    assert result["turn_over_own_model_time"] >= 1
    assert result["questions"] == len(questions) == 2
    prefix = model.asked[0][0][0].text
    short = [messages for messages, options in model.asked if options.get("max_tokens") == 1]
    cold = [messages for messages in short if messages[0].text != prefix]
    # Two repeats each of a reply and of a question alone.
    assert len(cold) == 4
    assert len({messages[0].text for messages in cold}) == 4, "a cold prefix must be unlike every other from its first line"
    assert all(messages[0].text.endswith(prefix) for messages in cold)
    # Each repeat of each question: three conversations pushed out before the turn, three before its calls.
    pushed_out = len(short) - 3 * len(cold)
    assert pushed_out == 2 * 2 * 2 * 3


def test_cold_and_warm_requests_are_equally_long(make_agent: Callable[[BaseChatModel], Agent]) -> None:
    model = Obliging()
    measure_turns(make_agent(model), model, [str(QUESTION.text)], repeats=1, conversations=1)
    cold, _, warm = [messages for messages, options in model.asked if options.get("max_tokens") == 1][-3:]
    assert sum(len(message.text) for message in cold) == sum(len(message.text) for message in warm)
    assert cold[0].text != warm[0].text


def test_a_shop_without_products_cannot_be_asked_about_any() -> None:
    with pytest.raises(OperatorError, match="storehand import"):
        questions_about([])


class Opening:
    """What open_agent gives, around the made shop."""

    def __init__(self, agent: Agent, shop: SqliteShop, model: BaseChatModel) -> None:
        self.agent, self.shop, self.model = agent, shop, model

    def session(self, customer_id: str | None, conversation_id: str | None) -> Session:
        return Session("one", customer_id)


@pytest.fixture
def opening(make_agent: Callable[[BaseChatModel], Agent], shop: SqliteShop, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Obliging()
    agent = make_agent(model)

    @contextmanager
    def apart(*_: Any) -> Iterator[Opening]:
        yield Opening(agent, shop, model)

    monkeypatch.setattr(bench, "_agent_apart", apart)
    # The made agent hears nothing.
    monkeypatch.setattr(bench, "_messages_for_every_model", lambda _: iter(()))


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(bench.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_bench_turn_prints_ratios_and_memory_as_its_last_line(opening: None) -> None:
    result = json.loads(printed("turn", "--repeats", "1", "--json").splitlines()[-1])
    assert result["first_token_warm_over_cold"] > 0
    assert result["turn_over_direct_calls"] > 0
    assert 0.05 < result["peak_memory_gib"] < 100
    assert result["first_token_cold_s"] > 0
    assert result["turn_median_s"] > 0


def test_bench_turn_draws_bars_for_people(opening: None) -> None:
    text = printed("turn", "--repeats", "1")
    assert "█" in text
    assert "turn ÷ direct calls" in text


def test_bench_choose_counts_by_language_and_lists_misses(opening: None, tmp_path: Path) -> None:
    cases = [
        {"say": "do you have the dome tent in stock?", "language": "en", "tools": ["search_products"]},
        {"say": "do you sell tents?", "language": "en", "tools": ["search_products", "recommend_products"]},
        {"say": "有没有帐篷？", "language": "zh", "tools": ["track_order"]},
    ]
    file = tmp_path / "cases.jsonl"
    file.write_text("\n".join(json.dumps(case) for case in cases), encoding="utf-8")
    result = json.loads(printed("choose", "--cases", str(file), "--json").splitlines()[-1])
    assert result["cases"] == 3
    assert result["by_language"] == {"en": 1.0, "zh": 0.0}
    assert result["accuracy"] == pytest.approx(2 / 3, abs=1e-3)
    assert (result["asked"], result["ece"]) == (0, pytest.approx(1 / 3, abs=1e-3))
    assert result["wrong_and_sure"] == pytest.approx(1 / 3, abs=1e-3)
    assert result["model_calls_mean"] == 0
    assert "有没有帐篷" in printed("choose", "--cases", str(file))


class Echo:
    """Hears the same in every recording."""

    model = None

    def transcribe(self, recording: Any) -> Transcript:
        return Transcript("hello there", "en", "en", 1.0, 2.0, 0.9)


def test_bench_speech_holds_our_recognition_against_the_plain_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.resources.prepare", lambda *_: None)
    monkeypatch.setattr("agent.resources.transcriber_of", lambda _: Echo())
    monkeypatch.setattr("eval.speech.faster_whisper_alone", lambda _: lambda recording: "hello")
    with wave.open(str(tmp_path / "a.wav"), "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        out.writeframes(bytes(32_000))
    file = tmp_path / "transcripts.jsonl"
    file.write_text(json.dumps({"audio": "a.wav", "text": "hello there"}))
    result = json.loads(printed("speech", "--transcripts", str(file), "--json").splitlines()[-1])
    assert set(result) == {"ours", "plain"}
    assert (result["ours"]["wer"], result["plain"]["wer"]) == (0, 0.5)
    assert {"wer", "cer", "rtf"} <= set(result["ours"])
    assert "50.0%" in printed("speech", "--transcripts", str(file))


def test_made_products_lie_in_clusters_and_are_the_same_every_time() -> None:
    made, again = made_catalogue(TENTS, 60), made_catalogue(TENTS, 60)
    assert np.array_equal(made.vectors, again.vectors)
    assert made.vectors.shape == (60, DIMENSIONS)
    assert np.linalg.norm(made.vectors, axis=1) == pytest.approx(1, abs=1e-5)
    cosines = np.sort(made.vectors @ made.vectors.T, axis=1)
    assert (cosines[:, -2] > 0.6).mean() > 0.9, "most products have a near neighbour"
    assert np.median(cosines) < 0.3, "and most others are far"


def test_the_exact_answer_keeps_to_the_filters() -> None:
    from tools.catalog.index import Filters

    made = made_catalogue(TENTS, 60)
    found = made.exactly_nearest(made.vectors[0], Filters(price_max_cents=1000))
    assert found
    assert {made.product(int(each)).id for each in found} == {"p1"}


def test_an_index_that_finds_other_products_has_no_overlap(tmp_path: Path) -> None:
    class Wrong(EdgeIndex):
        def nearest(self, *args: Any, **kwargs: Any) -> list[Hit]:
            return [Hit("never", 1.0)]

    index = Wrong(tmp_path / "index")
    try:
        assert measure_search(index, made_catalogue(TENTS, 40), 2)["overlap_at_10"] == 0
    finally:
        index.close()


def test_a_made_shop_is_asked_in_every_way(tmp_path: Path) -> None:
    result = measure_large_shop(tmp_path, ShopInfo(name=LocalText(en="Made"), currency="USD"), TENTS, 40, asks=2)
    assert result["products"] == 40
    assert result["overlap_at_10"] == result["filtered_overlap_at_10"] == 1
    assert all(result[f"{way}_ms"] > 0 for way in WAYS)


@pytest.mark.real
def test_bench_search_measures_both_indexes_at_every_size() -> None:
    line = printed("search", "--size", "200", "--size", "400", "--searches", "3", "--json").splitlines()[-1]
    results = json.loads(line)["results"]
    places = [(row["adapter"], row["products"]) for row in results]
    assert places == [("edge", 200), ("server_client_local", 200), ("edge", 400), ("server_client_local", 400)]
    for row in results:
        assert row.keys() >= SEARCH_KEYS
        assert row["search_ms"] > 0
        assert row["dense_over_read_all"] > 0
        assert row["overlap_at_10"] == 1
        assert row["filtered_overlap_at_10"] == 1


@pytest.mark.parametrize("given", [["--of", "a", "b", "--one", "c"], ["--one", "c", "--of", "a", "--of", "b"]])
def test_an_option_takes_several_values_in_a_row_or_is_given_again(given: list[str]) -> None:
    made, read = typer.Typer(), []

    @made.command(cls=bench.SeveralValues)
    def command(of: Annotated[list[str], typer.Option()], one: Annotated[str, typer.Option()]) -> None:
        read.append((of, one))

    assert CliRunner().invoke(made, given).exit_code == 0
    assert read == [(["a", "b"], "c")]
