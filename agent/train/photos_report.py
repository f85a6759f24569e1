"""The model card of a trained photo model."""

from pathlib import Path
from string import Template

from agent.train.photos import Course, Plan
from agent.train.pictures import read_clothing, read_grocery
from tools.catalog.photo_encoder import FEATURE, FROZEN_STAGES, SHARED

MODEL_CARD = "MODEL_CARD.md"
"""The card's name, beside the model."""
STAGES = 7


def write_card(out: Path, course: Course, plan: Plan, command: str, pth: Path, grocery: Path, clothing: Path) -> Path:
    """Write the model card beside `out`, which was trained on both data sets from the image tower in `pth`."""
    pictures = read_grocery(grocery)
    photos = sum(each.by_customer for each in pictures)
    blanks = {
        "name": out.stem,
        "file": out.name,
        "shared": SHARED,
        "feature": f"{FEATURE:,}",
        "stages": STAGES - FROZEN_STAGES,
        "megabytes": f"{out.stat().st_size / 1e6:.1f}",
        "pth": pth.name,
        "epochs": plan.epochs,
        "best": course.best,
        "distortions": plan.distortions,
        "rate": f"{plan.learning_rate:g}",
        "seed": plan.seed,
        "command": command,
        "sources": f"{photos:,} photos and {len(pictures) - photos} catalogue pictures of groceries, "
        f"{len(read_clothing(clothing / 'train')):,} photos of clothes.",
        "figures": "\n".join(
            [
                "| found first | before | after |",
                "| --- | --- | --- |",
                *(f"| {name} | {course.before[name]:.1%} | {course.after[name]:.1%} |" for name in course.before),
            ]
        ),
    }
    template = Template(Path(__file__).with_name("photos_card.md").read_text(encoding="utf-8"))
    file = out.with_name(MODEL_CARD)
    file.write_text(template.substitute(blanks), encoding="utf-8")
    return file
