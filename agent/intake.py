"""What a customer sends, made safe and uniform once, at the door: clean text, its language, an upright small photo.

Everything behind this file may rely on it: no control or invisible characters, at most MAX_CHARACTERS, pictures in RGB of at
most PHOTO_SIDE pixels a side. Does not know what anything means. Voice is read by tools/transcribe_speech.py.
"""

import re
import struct
import unicodedata
from io import BytesIO

from PIL import Image, ImageOps

from tools.kit.answers import EMAIL
from tools.kit.errors import UnreadablePhoto, UnreadableText
from tools.shop.types import Language

MAX_CHARACTERS = 4_000
MAX_PHOTO_MEGABYTES = 20
MAX_PHOTO_MEGAPIXELS = 50
PHOTO_SIDE = 1024
"""Longest side of an opened photo in pixels; the encoders look at far fewer."""

_PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
# Pillow's decoders meet damage with many errors of Python's own; warnings are errors where the process runs so.
_PHOTO_DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, MemoryError, struct.error,
    Image.DecompressionBombError, Warning,
)  # fmt: skip

# Full-width forms that an input method leaves in order numbers and sizes. Chinese commas, brackets and stops stay.
_HALF_WIDTH = {
    code: code - 0xFEE0
    for code in range(0xFF01, 0xFF5F)
    if chr(code - 0xFEE0).isalnum() or chr(code - 0xFEE0) in "#$%&*+-./=@_"
} | {0xFFE5: "¥", 0xFFE1: "£"}

# Invisible though Unicode counts them as letters, symbols or marks: fillers, the blank Braille cell, variation selectors
# (which can carry a hidden message behind one emoji).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffd\U000e0100-\U000e01ef]"
)


def clean_text(raw: str | bytes) -> str:
    """Make a customer's message safe to store, show and prompt with: visible characters in one form, on one line.

    Drops what is no UTF-8, control, bidi, zero-width, private and unassigned characters; composes (NFC), turns full-width
    letters and digits into half-width, runs of white space into one space.
    Raises UnreadableText: text_too_long (over MAX_CHARACTERS), text_empty (nothing is left).
    """
    # So long a message is refused unread; the room is for invisible characters and the bytes of one character.
    if len(raw) > 16 * MAX_CHARACTERS:
        raise UnreadableText("text_too_long", characters=MAX_CHARACTERS)
    text = raw.decode("utf-8", errors="ignore") if isinstance(raw, bytes) else raw
    visible = "".join(character for character in text if character.isspace() or unicodedata.category(character)[0] != "C")
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", visible)).translate(_HALF_WIDTH)
    text = " ".join(text.split())
    if not text:
        raise UnreadableText("text_empty")
    if len(text) > MAX_CHARACTERS:
        raise UnreadableText("text_too_long", characters=MAX_CHARACTERS)
    return text


_NO_WORDS = re.compile(r"https?://\S+|\S+@\S+|\S*[\d_]\S*|\"\w+\"\s*:", re.ASCII)
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
_KANA_OR_HANGUL = re.compile(r"[\u3041-\u30ff\uac00-\ud7af]")
_LATIN_WORD = re.compile(r"[A-Za-zÀ-ɏ]+(?:['’-][A-Za-zÀ-ɏ]+)*")
_ENGLISH = frozenset(
    "a an the is are was were be am do does did have has had can could will would should may i you he she it we they me my "
    "your our their this that these those what which who where when why how and or but if not no yes in on at of for to "
    "from with about there please thanks thank hello hi hey help mean say want need get".split()
)
_CHINESE = frozenset("的了吗呢吧啊这那个我你您他她它们是不没有在要想能会可以请把被给和跟什么怎哪谁多少几为还也都就")


def detect_language(text: str, before: Language | None) -> Language:
    """The language to answer a cleaned message in: "en" or "zh".

    Words that hold a sentence together decide where both scripts are used: 「这个 T-shirt 有 size M 吗」 is Chinese, "what
    does 退货 mean" is English. A message without words of either (digits, codes, JSON, sizes, emoji, another script) keeps the
    conversation's language `before`; English if there is none.
    """
    words: list[str] = _LATIN_WORD.findall(_NO_WORDS.sub(_han_only, text))
    han = _HAN.findall(text)
    english = any(word.lower() in _ENGLISH for word in words)
    if _KANA_OR_HANGUL.search(text):
        return before or "en"
    if han:
        if not english:
            return "zh"
        return "zh" if not _CHINESE.isdisjoint(han) and len(han) >= 2 * len(words) else "en"
    # Brands and sizes ("XL", "Nike Air") are written in Latin letters in a Chinese conversation too.
    if english or any(word.islower() and len(word) > 2 for word in words):
        return "en"
    return before or "en"


def _han_only(code: re.Match[str]) -> str:
    return " " + "".join(_HAN.findall(code[0])) + " "


def open_photo(data: bytes) -> Image.Image:
    """Open a customer's picture: RGB, upright, at most PHOTO_SIDE pixels a side, transparent parts white, no metadata.

    JPEG, PNG, WebP, GIF (first frame) and BMP, recognised by content. Size and dimensions are checked before a pixel is
    decoded. Raises UnreadablePhoto: photo_empty, photo_too_large (megabytes, megapixels), photo_unreadable.
    """
    if not data:
        raise UnreadablePhoto("photo_empty")
    too_large = UnreadablePhoto("photo_too_large", megabytes=MAX_PHOTO_MEGABYTES, megapixels=MAX_PHOTO_MEGAPIXELS)
    if len(data) > MAX_PHOTO_MEGABYTES * 1_000_000:
        raise too_large
    try:
        with Image.open(BytesIO(data), formats=_PHOTO_FORMATS) as file:
            if file.width * file.height > MAX_PHOTO_MEGAPIXELS * 1_000_000:
                raise too_large
            return _upright(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_large from error
    except _PHOTO_DAMAGE as error:
        raise UnreadablePhoto("photo_unreadable") from error


def _upright(file: Image.Image) -> Image.Image:
    orientation = file.getexif().get(0x0112)
    file.draft("RGB", (PHOTO_SIDE, PHOTO_SIDE))
    # Few colours cannot be averaged, so palettes are resolved first; the rest is scaled before any full-size copy is made.
    picture = file.convert("RGBA") if file.mode in ("1", "P", "PA") else file
    picture.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    picture = picture.convert("RGBA")
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, mask=picture)
    if isinstance(orientation, int):
        paper.getexif()[0x0112] = orientation
        ImageOps.exif_transpose(paper, in_place=True)
    return paper


_IDENTITY_CARD = re.compile(r"(?<![A-Za-z0-9#])[1-9]\d{16}[\dXx](?![A-Za-z0-9])", re.ASCII)
_CARD = re.compile(
    r"(?<![A-Za-z0-9#])(?=[3-6]|2[2-7])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}|\d{13,19})(?![A-Za-z0-9])",
    re.ASCII,
)
_PHONE = re.compile(
    r"(?<![A-Za-z0-9#+])(?:"
    r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,5}(?:[ .-]?\d{2,5}){1,4}"  # +44 20 7946 0958
    r"|(?:0086|86)?[ -]?1[3-9]\d[ -]?\d{4}[ -]?\d{4}"  # 138 1234 5678
    r"|0\d{2,3}-\d{7,8}"  # 010-12345678
    r"|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}"  # (415) 555-0123
    r")(?![A-Za-z0-9]|-\d)",
    re.ASCII,
)
_CALLED_PHONE = re.compile(
    r"((?:phone|mobile|telephone|\btel|\bcell|\bcall me (?:at|on)|电话|手机)[^\d\n]{0,15}?)(?<!\d)\d(?:[ .-]?\d){6,14}(?!\d)",
    re.IGNORECASE,
)
# What follows such a word is a number of the shop's, though it may look like a card or a phone.
_SHOP_NUMBER = re.compile(
    r"(?:order|tracking|item|product|订单|单号|运单|物流|快递|商品)\s*(?:numbers?|no\.?|id|编?号码?)?\s*(?:is|was|是|为)?\s*[:：#]?\s*$",
    re.IGNORECASE,
)


def mask_private(text: str) -> str:
    """The text as it may be stored and logged: [email], [card], [id] and [phone] in place of what they name.

    Card numbers are told by Luhn's check digit, Chinese identity numbers by theirs (GB 11643). Order and product numbers
    ("#W2611340", "1042", 「订单 4111…」) stay.
    """
    text = EMAIL.sub("[email]", text)
    text = _IDENTITY_CARD.sub(lambda found: _mask(found, "[id]", _is_identity_number(found[0])), text)
    text = _CARD.sub(lambda found: _mask(found, "[card]", _passes_luhn(found[0])), text)
    text = _PHONE.sub(lambda found: _mask(found, "[phone]"), text)
    return _CALLED_PHONE.sub(r"\1[phone]", text)


def _mask(found: re.Match[str], mask: str, proven: bool = True) -> str:
    ours = _SHOP_NUMBER.search(found.string[max(0, found.start() - 24) : found.start()])
    return mask if proven and not ours else found[0]


def _passes_luhn(number: str) -> bool:
    digits = [int(character) for character in reversed(number) if character.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return len(digits) >= 13 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_identity_number(number: str) -> bool:
    remainder = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(number[:17])) % 11
    return number[17].upper() == "10X98765432"[remainder]
