"""Draws the demo shop's product pictures: `python -m tools.shop.demo.draw` writes pictures/<product id>.webp.

drawings/drawings.yaml says for each product which things (drawings/things/*.svg) lie on top of each other, in which
colours and with which weave (drawings/patterns/*.svg). The things know classes ("m" is the fabric, "d" a darker shade of
the product's colour, "p" one shaded piece); drawings/frame.svg says what they look like.
"""

import io
from pathlib import Path
from string import Template
from typing import Any

import resvg_py
import yaml
from PIL import Image, ImageColor

HERE = Path(__file__).parent
DRAWINGS = HERE / "drawings"
SIDE = 384


def read_table() -> dict[str, Any]:
    """drawings.yaml: `colours` (name → hex), `grounds` (backdrops) and `products` (id → what to draw)."""
    table: dict[str, Any] = yaml.safe_load((DRAWINGS / "drawings.yaml").read_text(encoding="utf-8"))
    return table


def compose_svg(product_id: str, table: dict[str, Any]) -> str:
    """The picture of one product as a complete SVG of 400 × 400 units. Raises KeyError for an unknown product or colour."""
    entry = table["products"][product_id]
    colours = table["colours"]
    main, accent = colours[entry["color"]], colours[entry.get("accent", "cream")]
    grounds = list(table["grounds"].values())
    ground = table["grounds"][entry["ground"]] if "ground" in entry else grounds[int(product_id[1:]) % len(grounds)]
    shades = {
        "main": main,
        "light": _mix(main, "#ffffff", 0.38),
        "dark": _mix(main, "#1d1830", 0.2),
        "darker": _mix(main, "#1d1830", 0.42),
        "darkest": _mix(main, "#1d1830", 0.62),
        "stitch": colours[entry["stitch"]] if "stitch" in entry else _mix(main, "#ffffff", 0.55),
        "accent": accent,
        "accentdark": _mix(accent, "#1d1830", 0.25),
        "ground": ground,
        "glow": _mix(ground, "#ffffff", 0.6),
    }
    # Two layers may use the same thing, and a pair draws everything twice: ids repeat, with the same content, so any will do.
    things = "\n".join((DRAWINGS / "things" / f"{layer}.svg").read_text(encoding="utf-8") for layer in entry["layers"])
    scale = entry.get("scale", 1)
    if entry.get("pair"):
        behind = f'<g transform="translate(4 -34) scale(.9)">{things}</g>'
        things = f'{behind}<g transform="translate(10 14) scale(.98)">{things}</g>'
    if scale != 1:
        things = f'<g transform="translate({200 * (1 - scale)} {200 * (1 - scale)}) scale({scale})">{things}</g>'
    weave = Template((DRAWINGS / "patterns" / f"{entry.get('pattern', 'plain')}.svg").read_text(encoding="utf-8"))
    frame = Template((DRAWINGS / "frame.svg").read_text(encoding="utf-8"))
    return frame.substitute(shades, weave=weave.substitute(shades), things=Template(things).substitute(shades))


def draw_picture(product_id: str, table: dict[str, Any]) -> Image.Image:
    """One product's picture, RGB, SIDE × SIDE pixels."""
    png = resvg_py.svg_to_bytes(svg_string=compose_svg(product_id, table), width=SIDE, height=SIDE)
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def draw_all(folder: Path) -> int:
    """Write <product id>.webp for every product of the table into `folder`; returns how many."""
    table = read_table()
    folder.mkdir(parents=True, exist_ok=True)
    for product_id in table["products"]:
        draw_picture(product_id, table).save(folder / f"{product_id}.webp", quality=82, method=6)
    return len(table["products"])


def _mix(colour: str, other: str, share: float) -> str:
    """`colour` with that share of `other` in it."""
    pairs = zip(ImageColor.getrgb(colour)[:3], ImageColor.getrgb(other)[:3], strict=True)
    return "#" + "".join(f"{round(a * (1 - share) + b * share):02x}" for a, b in pairs)


if __name__ == "__main__":
    draw_all(HERE / "pictures")
