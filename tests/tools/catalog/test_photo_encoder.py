import csv
import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from tools.catalog.photo_encoder import PhotoEncoder, load_embedded, load_open_clip
from tools.kit.errors import BadSettings, WeightsUnavailable


def picture(color: str, *, mode: str = "RGB", size: tuple[int, int] = (120, 90)) -> Image.Image:
    drawn = Image.new(mode, size, "white")
    ImageDraw.Draw(drawn).ellipse((20, 10, 100, 80), fill=color)
    return drawn


@pytest.mark.real
def test_the_same_thing_from_elsewhere_is_nearer_than_another_thing(photo_encoder: PhotoEncoder) -> None:
    ball, moved, lines = picture("orange"), picture("darkorange", size=(130, 95)), Image.new("RGB", (120, 90), "white")
    drawing = ImageDraw.Draw(lines)
    for x in range(0, 120, 6):
        drawing.line((x, 0, 120 - x, 90), fill="navy", width=2)
    vectors = photo_encoder.photos([ball, moved, lines])
    assert vectors.shape == (3, photo_encoder.dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


@pytest.mark.real
@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1"])
def test_pictures_of_every_mode_are_embedded(photo_encoder: PhotoEncoder, mode: str) -> None:
    assert np.isfinite(photo_encoder.photos([picture("black").convert(mode)])).all()


@pytest.mark.real
def test_transparent_parts_count_as_white(photo_encoder: PhotoEncoder) -> None:
    clear = Image.new("RGBA", (120, 90), (255, 0, 0, 0))
    ImageDraw.Draw(clear).ellipse((20, 10, 100, 80), fill="teal")
    vectors = photo_encoder.photos([clear, picture("teal")])
    assert vectors[0] @ vectors[1] > 0.999


@pytest.mark.real
def test_no_pictures_give_no_vectors(photo_encoder: PhotoEncoder) -> None:
    assert photo_encoder.photos([]).shape == (0, photo_encoder.dimensions)


def test_a_file_without_weights_names_the_next_step(tmp_path: Path) -> None:
    wrong = tmp_path / "lite2.pth"
    with pytest.raises(WeightsUnavailable, match="storehand weights"):
        load_embedded(wrong)
    torch.save({"_fc.weight": torch.zeros(1)}, wrong)
    with pytest.raises(WeightsUnavailable, match="storehand weights"):
        load_embedded(wrong)


@pytest.fixture
def open_clip_folder(tmp_path: Path) -> Path:
    """A very small OpenCLIP model with random weights, saved as open_clip expects a local folder."""
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
    }
    preparation = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preparation}))
    torch.manual_seed(0)
    model = open_clip.CLIP(embed_dim=16, vision_cfg=config["vision_cfg"], text_cfg=config["text_cfg"])
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, tmp_path / "open_clip_model.safetensors"
    )
    return tmp_path


def test_an_openclip_model_in_a_folder_embeds_photos_as_open_clip_does(open_clip_folder: Path) -> None:
    name = f"local-dir:{open_clip_folder}"
    encoder = load_open_clip(name)
    model, _, prepare = open_clip.create_model_and_transforms(name)
    model.eval()
    with torch.inference_mode():
        expected = model.encode_image(prepare(picture("red"))[None], normalize=True).numpy()
    assert encoder.dimensions == 16
    np.testing.assert_allclose(encoder.photos([picture("red")]), expected, atol=1e-5)


def test_the_fingerprint_follows_the_weights(open_clip_folder: Path) -> None:
    name = f"local-dir:{open_clip_folder}"
    before = load_open_clip(name).fingerprint
    assert load_open_clip(name).fingerprint == before
    model, _, _ = open_clip.create_model_and_transforms(name)
    with torch.no_grad():
        model.visual.proj.add_(1)
    save_file(
        {key: tensor.contiguous() for key, tensor in model.state_dict().items()},
        open_clip_folder / "open_clip_model.safetensors",
    )
    assert load_open_clip(name).fingerprint != before


def test_an_openclip_model_without_weights_is_refused() -> None:
    with pytest.raises(BadSettings, match="ViT-B-32"):
        load_open_clip("ViT-B-32")


@pytest.mark.parametrize("name", ["local-dir:/nowhere/at/all", "no-such-model"])
def test_an_openclip_model_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(WeightsUnavailable, match=name):
        load_open_clip(name, "laion2b")


GROCERIES = Path(__file__).parents[4] / "shared" / "data" / "grocery_store"


@pytest.mark.real
@pytest.mark.skipif(not GROCERIES.exists(), reason="the photos of ../shared/data are not here")
def test_customers_photos_find_their_product(photo_encoder: PhotoEncoder) -> None:
    with (GROCERIES / "classes.csv").open(encoding="utf-8") as file:
        pictures = [GROCERIES / row["Iconic Image Path (str)"].lstrip("/") for row in csv.DictReader(file)]
    photos = [line.split(", ") for line in (GROCERIES / "val.txt").read_text(encoding="utf-8").splitlines() if line][::4]
    catalogue = photo_encoder.photos([Image.open(file) for file in pictures])
    cosines = photo_encoder.photos([Image.open(GROCERIES / name) for name, _, _ in photos]) @ catalogue.T
    right = np.array([int(product) for _, product, _ in photos])
    rank = (cosines > cosines[np.arange(len(right)), right][:, None]).sum(axis=1)
    # Among 81 products; `storehand bench photos` tells the figures of the whole of val.txt.
    assert (rank < 1).mean() > 0.75
    assert (rank < 5).mean() > 0.9
