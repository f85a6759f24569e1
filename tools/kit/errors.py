"""What can go wrong, and who has to read it.

StorehandError
├── OperatorError        the person who runs Storehand: what happened, the value, the next step
│   ├── ShopMissing
│   ├── ImportFailed
│   ├── IndexMissing
│   ├── EncoderMismatch
│   ├── WeightsUnavailable
│   ├── VoiceUnavailable
│   ├── BadSettings
│   └── ModelFailed      a chat model that does not answer, or answers garbage
├── Refused              the chat model: why a tool did not do it and what to offer instead
└── CustomerError        the customer: one polite sentence, by its key in prompts/phrases.*.yaml
    ├── UnreadableText
    ├── UnreadablePhoto
    └── UnreadableVoice
"""


class StorehandError(Exception):
    """Anything Storehand raises on purpose; the message is ready to be shown to its reader."""


class OperatorError(StorehandError):
    """Something the operator can mend: the message names the value and the next step."""


class ShopMissing(OperatorError):
    """The shop folder does not exist or holds no imported shop."""


class ImportFailed(OperatorError):
    """A source could not be imported at all (single bad rows are reported, not raised)."""


class IndexMissing(OperatorError):
    """There is no product index yet where one is needed."""


class EncoderMismatch(OperatorError):
    """The index was made by another encoder than the one loaded: their vectors cannot be compared."""


class WeightsUnavailable(OperatorError):
    """Model weights are neither cached nor to be had from any source, or fail their checksum."""


class VoiceUnavailable(OperatorError):
    """The engine that reads replies aloud is not installed or does not work."""


class BadSettings(OperatorError):
    """A value in storehand.toml or a STOREHAND_ variable is not usable."""


class ModelFailed(OperatorError):
    """The chat model did not answer, stopped in mid-call or answered something that is no answer."""


class Refused(StorehandError):
    """A tool will not do what was asked; the message tells the model what to offer instead."""


class CustomerError(StorehandError):
    """A customer's input cannot be used.

    `key` names the sentence in prompts/phrases.<language>.yaml that the customer reads; `values` fill its blanks.
    """

    def __init__(self, key: str, **values: str | int) -> None:
        super().__init__(f"{key} {values}" if values else key)
        self.key = key
        self.values = values


class UnreadableText(CustomerError):
    """The message is empty, too long or no text."""


class UnreadablePhoto(CustomerError):
    """The bytes are no picture we decode, or too large a one."""


class UnreadableVoice(CustomerError):
    """The bytes are no recording we decode, or too long a one."""
