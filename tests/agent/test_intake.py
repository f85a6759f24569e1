import struct
import warnings
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from agent.intake import MAX_CHARACTERS, PHOTO_SIDE, clean_text, detect_language, mask_private, open_photo
from tools.kit.errors import UnreadablePhoto, UnreadableText
from tools.shop.types import Language

CARD = "4111 1111 1111 1111"
IDENTITY_NUMBER = "11010519491231002X"


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises that many pixels and whose data holds none of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


RED = Image.new("RGB", (60, 40), (200, 10, 10))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  where   is\n\nmy\torder? ", "where is my order?"),
        (b"caf\xff\xfe\xc3\xa9", "café"),
        ("cafe\u0301", "café"),
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("price \u202e05$\u2066 now\u2069", "price 05$ now"),
        ("zero\u200bwidth\ufeff \u2060and\u00ad soft", "zerowidth and soft"),
        ("hidden\U000e0041\U000e0042 tag\ufe0f\U000e0101", "hidden tag"),
        ("\ud800 lone surrogate", "lone surrogate"),
        ("订单＃Ｗ２６１，尺码Ｍ：有吗？（蓝色）", "订单#W261，尺码M：有吗？（蓝色）"),
        ("全角　空格", "全角 空格"),
        ("我喜欢 👍🏽", "我喜欢 👍🏽"),
    ],
)
def test_text_is_cleaned_once_at_the_door(raw: str | bytes, clean: str) -> None:
    assert clean_text(raw) == clean


@pytest.mark.parametrize("raw", ["", b"", " \n\t", "\u200b\u202e", "\x00" * 50_000, b"\xff" * 50_000, "\u3164\u2800"])
def test_text_with_nothing_visible_is_empty(raw: str | bytes) -> None:
    with pytest.raises(UnreadableText) as error:
        clean_text(raw)
    assert error.value.key == "text_empty"


@pytest.mark.parametrize("raw", ["a" * (MAX_CHARACTERS + 1), b"a" * 10_000_000, "退货" * 5_000_000, b"\xff" * 10_000_000])
def test_too_long_a_text_is_refused_with_the_limit(raw: str | bytes) -> None:
    with pytest.raises(UnreadableText) as error:
        clean_text(raw)
    assert (error.value.key, error.value.values) == ("text_too_long", {"characters": MAX_CHARACTERS})


def test_text_of_just_the_permitted_length_is_kept_whole_in_any_script() -> None:
    assert clean_text("退" * MAX_CHARACTERS) == "退" * MAX_CHARACTERS
    assert clean_text(("😀" * MAX_CHARACTERS).encode()) == "😀" * MAX_CHARACTERS


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_cleaning_a_clean_text_changes_nothing(raw: str | bytes) -> None:
    try:
        clean = clean_text(raw)
    except UnreadableText:
        return
    assert clean_text(clean) == clean
    assert clean.isprintable()
    clean.encode()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("退货流程", "zh"),
        ("T恤男 夏季", "zh"),
        ("这个 T-shirt 有 size M 吗", "zh"),
        ("iPhone 15 Pro Max 手机壳", "zh"),
        ("订单1042到哪了", "zh"),
        ("好", "zh"),
        ("where is my order?", "en"),
        ("what does 退货 mean", "en"),
        ("How do I say 我想要退货 in Chinese?", "en"),
        ("I want 连衣裙", "en"),
        ("blue dress", "en"),
        ("Hello", "en"),
        ("where's #W2611340", "en"),
    ],
)
@pytest.mark.parametrize("before", ["en", "zh", None])
def test_the_words_of_a_message_tell_its_language(text: str, language: Language, before: Language | None) -> None:
    assert detect_language(text, before) == language


@pytest.mark.parametrize(
    "text", ["1042", "#W2611340", "👍", "XL", "42", "¥100", "ok", "Nike Air", "?", "a@b.com", "привет", '{"id": "p_50"}']
)
def test_a_message_without_telling_words_keeps_the_language_of_the_conversation(text: str) -> None:
    assert detect_language(text, "zh") == "zh"
    assert detect_language(text, "en") == "en"
    assert detect_language(text, None) == "en"


def test_japanese_is_not_taken_for_chinese() -> None:
    assert detect_language("注文はどこですか", "en") == "en"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_photo_of_each_format_opens_in_rgb(form: str) -> None:
    photo = open_photo(encoded(RED, form))
    assert (photo.mode, photo.size) == ("RGB", (60, 40))
    red, green, blue = photo.getpixel((30, 20))
    assert red > 150
    assert green < 60
    assert blue < 60


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_a_photo_of_each_colour_mode_opens_in_rgb(mode: str) -> None:
    form = "JPEG" if mode == "CMYK" else "PNG"
    assert open_photo(encoded(Image.new(mode, (30, 20)), form)).mode == "RGB"


def test_a_large_photo_is_scaled_down_in_proportion() -> None:
    photo = open_photo(encoded(Image.new("RGB", (4000, 2000)), "JPEG"))
    assert photo.size == (PHOTO_SIDE, PHOTO_SIDE // 2)


def test_a_photo_taken_sideways_stands_upright_and_loses_its_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    picture = Image.new("RGB", (60, 40), "white")
    picture.paste("red", (0, 0, 20, 40))
    photo = open_photo(encoded(picture, "JPEG", exif=exif, comment=b"home address"))
    assert photo.size == (40, 60)
    assert photo.getpixel((20, 5))[1] < 100, "the left side of the file is the top of the picture"
    assert photo.getpixel((20, 55))[1] > 200
    assert photo.info == {}
    assert dict(photo.getexif()) == {}


def test_transparent_parts_of_a_photo_become_white() -> None:
    assert open_photo(encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG")).getpixel((4, 4)) == (255, 255, 255)


def test_an_animation_shows_its_first_frame() -> None:
    film = encoded(RED, "GIF", save_all=True, append_images=[Image.new("RGB", (60, 40), "blue")])
    assert open_photo(film).getpixel((30, 20))[0] > 150


def test_no_bytes_are_an_empty_photo() -> None:
    with pytest.raises(UnreadablePhoto) as error:
        open_photo(b"")
    assert error.value.key == "photo_empty"


@pytest.mark.parametrize(
    "data",
    [
        b"\x89",
        b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>",
        b"<!doctype html><html><img src=x></html>",
        b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(60),
        b"%PDF-1.7\n" + bytes(100),
        encoded(Image.effect_noise((200, 200), 90), "JPEG")[:3000],
        encoded(Image.effect_noise((200, 200), 90), "PNG")[:3000],
        encoded(RED, "TIFF"),
        encoded(RED, "ICO"),
        png_of(0, 5),
        png_of(20, 20),
    ],
    ids=["one byte", "SVG", "HTML", "sound", "PDF", "truncated JPEG", "truncated PNG", "TIFF", "ICO", "no width", "no pixels"],
)
def test_what_is_no_photo_we_decode_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadablePhoto) as error:
        open_photo(data)
    assert error.value.key == "photo_unreadable"


@pytest.mark.parametrize("side", [7_100, 10_000, 60_000, 2**31 - 1])
@pytest.mark.parametrize("warning", ["error", "ignore"])
def test_a_decompression_bomb_is_refused_from_its_header(side: int, warning: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(warning)  # type: ignore[arg-type]
        with pytest.raises(UnreadablePhoto) as error:
            open_photo(png_of(side, side))
    assert (error.value.key, error.value.values) == ("photo_too_large", {"megabytes": 20, "megapixels": 50})


def test_a_photo_of_too_many_bytes_is_refused() -> None:
    with pytest.raises(UnreadablePhoto) as error:
        open_photo(encoded(RED, "JPEG") + bytes(20_000_000))
    assert error.value.key == "photo_too_large"


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP"]), st.data())
def test_a_damaged_photo_opens_or_is_refused_and_nothing_else(form: str, data: st.DataObject) -> None:
    damaged = bytearray(encoded(RED, form))
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        photo = open_photo(bytes(damaged))
    except UnreadablePhoto:
        return
    assert photo.mode == "RGB"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mail me at jo.doe+x@mail.example.com, ok?", "mail me at [email], ok?"),
        ("邮箱zhang@qq.com，电话13812345678", "邮箱[email]，电话[phone]"),
        (f"card {CARD} exp 12/27", "card [card] exp 12/27"),
        ("378282246310005", "[card]"),
        (f"身份证{IDENTITY_NUMBER}", "身份证[id]"),
        ("+44 20 7946 0958", "[phone]"),
        ("(415) 555-0123 or 415-555-0123", "[phone] or [phone]"),
        ("+86 138 1234 5678", "[phone]"),
        ("010-12345678", "[phone]"),
        ("my phone is 4155550123", "my phone is [phone]"),
        ("我的订单，手机号13812345678", "我的订单，手机号[phone]"),
    ],
)
def test_private_data_is_masked(text: str, masked: str) -> None:
    assert mask_private(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "#W2611340 and 1042",
        "订单1042到哪了",
        "item 6086499569 in size 42",
        "订单号：4111111111111111",
        "order number is 4111111111111111",
        "运单号13812345678",
        "tracking 1Z999AA10123456784",
        "4111111111111112",
        "110105194912310021",
        "2026-11-03 to 2026-12-01, $1,299.00",
        "36 38 40 42 44 46 48 50",
        "10-20-30 cm",
        "sofia_hernandez_5364",
        "电话 1042 吗",
    ],
)
def test_numbers_of_the_shop_are_not_masked(text: str) -> None:
    assert mask_private(text) == text


@given(st.text(max_size=300))
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask_private(mask_private(text)) == mask_private(text)
