"""Pictures as vectors: by the embedded OpenCLIP model, or by any other one.

The embedded model is EfficientNet-Lite2 beside multilingual-e5-small, with projections into one space. Both towers come from a package
index; what was trained of it (the image tower's last stages and the projections) lies beside this file.
"""

import hashlib
import json
import pickle
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tools.catalog.photo_model import TRAINED
from tools.kit.errors import BadSettings, WeightsUnavailable

LOCAL, OPEN_CLIP_CONFIG = "local-dir:", "open_clip_config.json"
QUERY_PREFIX = "query: "
"""What e5 wants before every short text. Source: Wang et al. 2024, arXiv:2402.05672."""

Floats = NDArray[np.float32]


class PhotoEncoder:
    """Turns pictures into vectors: the nearer two vectors, the more alike the pictures.

    `prepare` makes views of a picture, shape (views, 3, height, width); a picture's vector is the mean of its views'.
    `fingerprint` names the weights and the preparation: vectors compare only under the same one. Any thread may call it.
    """

    def __init__(
        self,
        embed: Callable[[torch.Tensor], torch.Tensor],
        prepare: Callable[[Image.Image], torch.Tensor],
        dimensions: int,
        fingerprint: str,
    ) -> None:
        self._embed = embed
        self._prepare = prepare
        self.dimensions = dimensions
        self.fingerprint = fingerprint

    def photos(self, pictures: Sequence[Image.Image]) -> Floats:
        """Vectors of shape (len(pictures), dimensions), unit length; transparent parts count as white."""
        vectors = np.empty((len(pictures), self.dimensions), dtype=np.float32)
        # One by one: what the early stages make of many pictures does not fit the processor's cache, and takes twice as long.
        for place, picture in enumerate(pictures):
            with torch.inference_mode():
                views = self._prepare(on_white(picture)).contiguous(memory_format=torch.channels_last)
                of_views = torch.nn.functional.normalize(self._embed(views).float())
                vectors[place] = torch.nn.functional.normalize(of_views.mean(0), dim=0).numpy()
        return vectors


def on_white(picture: Image.Image) -> Image.Image:
    """The picture upright, in RGB."""
    upright = ImageOps.exif_transpose(picture)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    with_alpha = upright.convert("RGBA")
    background = Image.new("RGBA", with_alpha.size, "white")
    return Image.alpha_composite(background, with_alpha).convert("RGB")


PIXELS = 260
MEAN, STD = 0.498, 0.502
CENTRE = 0.75
"""The middle that is looked at beside the whole, as a share of the shorter side.

Of 296 validation photos of grocery_store the whole finds 84.5 % of the products, the middle 87.5 %, both 88.2 %; of 180 photos of
products that a model never saw 55.0, 56.1 and 59.4 %. The part that stands out in the tower's own activations, as a third view of
the photo, finds 88.9 and 62.2 % (13 more and 6 fewer), takes half as long again, and is left out; so are mirrored views (88.5, 60.6)."""
FROZEN_STAGES = 5
"""Of the image tower's seven; the later ones, its last convolution and the two projections learn."""
FEATURE, SHARED = 1280, 384
"""Dimensions of a picture's feature, and of the space that it shares with texts."""
IMAGE_TOWER, IMAGE_PROJECTION, TEXT_PROJECTION, SCALE = (
    "visual.trunk.",
    "visual.head.proj.weight",
    "text.proj.weight",
    "logit_scale",
)
"""Names in OpenCLIP's state of the model."""


def load_embedded(pth: Path, trained: Path = TRAINED) -> PhotoEncoder:
    """The embedded model's image tower up to its feature of 1280 numbers, which compares pictures with pictures.

    The projection into the space of texts is left out: on products that the training never saw, which are every shop's, the feature
    before it finds more. Seen are the whole picture and the middle three quarters of it. `pth` holds EfficientNet-Lite2 as trained on
    ImageNet, `trained` what `storehand train photos` wrote. Raises WeightsUnavailable if one is missing or holds something else.
    """
    tower = load_tower(pth, trained)

    def prepare(picture: Image.Image) -> torch.Tensor:
        return torch.stack([to_tensor(picture), to_tensor(middle_of(picture))])

    return PhotoEncoder(tower, prepare, FEATURE, f"photo-{_file_digest(pth)}-{_file_digest(trained)}-2views")


def load_tower(pth: Path, trained: Path | None) -> Any:
    """EfficientNet-Lite2 as timm's tf_efficientnet_lite2 without its classifier; with its last stages from `trained`, if given.

    In: (n, 3, 260, 260); out: (n, 1280). `pth` is of lukemelas' EfficientNet-PyTorch port, which computes the same features.
    Raises WeightsUnavailable. Source: Tan and Le 2019, arXiv:1905.11946.
    """
    # Imported when needed: most conversations send no photo, and this takes seconds.
    import timm

    try:
        weights = torch.load(pth, map_location="cpu", weights_only=True)
        tower: Any = timm.create_model("tf_efficientnet_lite2", num_classes=0)
        tower.load_state_dict(_timm_names(weights))
    except (OSError, RuntimeError, ValueError, AttributeError, pickle.UnpicklingError) as error:
        raise WeightsUnavailable(f"no EfficientNet-Lite2 weights in '{pth}': {error}; run \"storehand weights\".") from error
    if trained is not None:
        tower.load_state_dict(tower.state_dict() | _of_tower(read_trained(trained)))
    # Not `lock_image_tower` of open_clip: freezing the batch norms that way drops the ReLU6 in them.
    return tower.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def read_trained(trained: Path) -> dict[str, torch.Tensor]:
    """What was trained, in single precision, under OpenCLIP's names. Raises WeightsUnavailable."""
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(trained).items()}
    except (OSError, SafetensorError) as error:
        raise WeightsUnavailable(
            f"no trained photo model in '{trained}': {error}; make it with \"storehand train photos\"."
        ) from error
    if IMAGE_PROJECTION not in tensors:
        raise WeightsUnavailable(f"'{trained}' is no photo model; make one with \"storehand train photos\".")
    return tensors


def _of_tower(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(IMAGE_TOWER): tensor for name, tensor in tensors.items() if name.startswith(IMAGE_TOWER)}


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """An RGB picture as the tower reads it: (3, 260, 260); what is not square is squeezed, so that nothing is cut off."""
    from torchvision.transforms.v2 import functional

    pixels = picture.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC)
    tensor: torch.Tensor = functional.normalize(
        functional.to_dtype(functional.pil_to_tensor(pixels), scale=True), [MEAN] * 3, [STD] * 3
    )
    return tensor


def middle_of(picture: Image.Image) -> Image.Image:
    """The square of three quarters of the shorter side in the middle: what a customer holds into the camera."""
    side = max(1, round(CENTRE * min(picture.size)))
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def write_open_clip(pth: Path, text_encoder: Path, trained: Path, out: Path) -> None:
    """Write the whole embedded model as a folder for OpenCLIP ("local-dir:FOLDER"): both towers, projections, tokenizer; 270 MB.

    `text_encoder` is the transformers folder of multilingual-e5-small. `out` appears whole or not at all. OpenCLIP itself puts no
    "query: " before a text, as e5 wants it: the prefix stands in the configuration, and `load_open_clip_pair` obeys it.
    """
    learnt = read_trained(trained)
    state = {f"{IMAGE_TOWER}{name}": tensor for name, tensor in load_tower(pth, trained).state_dict().items()}
    # Half of the precision is more than the four bits that they were unpacked from.
    state |= {
        f"text.transformer.{name}": tensor.half() for name, tensor in load_file(text_encoder / "model.safetensors").items()
    }
    state |= {name: learnt[name] for name in (IMAGE_PROJECTION, TEXT_PROJECTION, SCALE)}
    config = {
        "model_cfg": {
            "embed_dim": SHARED,
            "vision_cfg": {
                "timm_model_name": "tf_efficientnet_lite2",
                "timm_pool": "",
                "timm_proj": "linear",
                "image_size": PIXELS,
            },
            "text_cfg": {
                "context_length": 64,
                "hf_model_name": str(out.resolve()),
                "hf_tokenizer_name": str(out.resolve()),
                "hf_pooler_type": "mean_pooler",
                "hf_proj_type": "linear",
            },
        },
        "preprocess_cfg": {"mean": [MEAN] * 3, "std": [STD] * 3, "interpolation": "bicubic", "resize_mode": "squash"},
        "text_prefix": QUERY_PREFIX,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(text_encoder / name, folder / name)
        (folder / OPEN_CLIP_CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "open_clip_model.safetensors")
        (folder / "open_clip_model.safetensors").chmod(0o644)  # safetensors writes 0600
        if out.exists():
            shutil.rmtree(out)
        folder.replace(out)


def _timm_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights under timm's names; the classifier is left out."""
    outside = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    separable = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    inverted = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    place = _block_places()
    renamed = {}
    for name, tensor in weights.items():
        if block := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            stage, index = place[int(block[1])]
            names = separable if stage == 0 else inverted
            renamed[f"blocks.{stage}.{index}.{names[block[2]]}.{block[3]}"] = tensor
        elif not name.startswith("_fc."):
            part, kind = name.split(".")
            renamed[f"{outside[part]}.{kind}"] = tensor
    return renamed


def _block_places() -> list[tuple[int, int]]:
    """Where the n-th block of Lite2 lies: (stage, index in the stage). Lite scales the depth by 1.2, first and last stage not."""
    return [(stage, index) for stage, depth in enumerate((1, 3, 3, 4, 4, 5, 1)) for index in range(depth)]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def load_open_clip(name: str, pretrained: str | None = None) -> PhotoEncoder:
    """The image tower of an OpenCLIP model.

    `name` is a model of open_clip's list with `pretrained` weights ("ViT-B-32", "laion2b_s34b_b79k"), "hf-hub:owner/model",
    or "local-dir:FOLDER" with open_clip_config.json and open_clip_model.safetensors in it. Raises WeightsUnavailable if it
    cannot be had, BadSettings if it would be left untrained.
    Source: Radford et al. 2021, arXiv:2103.00020.
    """
    return _photos_of(*_open_clip(name, pretrained))


def load_open_clip_pair(name: str, pretrained: str | None = None) -> tuple[PhotoEncoder, Callable[[Sequence[str]], Floats]]:
    """Both towers of an OpenCLIP model: for photos, and for texts, as unit vectors of one space. See `load_open_clip`."""
    import open_clip

    model, prepare = _open_clip(name, pretrained)
    tokenizer = open_clip.get_tokenizer(name)
    prefix = _local_config(name).get("text_prefix", "")

    def texts(said: Sequence[str]) -> Floats:
        with torch.inference_mode():
            vectors: Floats = model.encode_text(tokenizer([prefix + each for each in said]), normalize=True).numpy()
        return vectors

    return _photos_of(model, prepare), texts


def _photos_of(model: Any, prepare: Callable[[Image.Image], torch.Tensor]) -> PhotoEncoder:
    digest = hashlib.sha256(repr(prepare).encode())
    for key, tensor in sorted(model.visual.state_dict().items()):
        digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
    size = model.visual.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    with torch.inference_mode():
        dimensions = model.encode_image(torch.zeros(1, 3, height, width)).shape[-1]
    return PhotoEncoder(
        model.encode_image, lambda picture: prepare(picture)[None], dimensions, f"photo-{digest.hexdigest()[:16]}"
    )


def _open_clip(name: str, pretrained: str | None) -> tuple[Any, Callable[[Image.Image], torch.Tensor]]:
    import open_clip  # takes seconds

    if not pretrained and not name.startswith((LOCAL, "hf-hub:")):
        raise BadSettings(f"photo encoder '{name}' has no weights; name them too, like 'laion2b_s34b_b79k' for 'ViT-B-32'.")
    try:
        text = _local_config(name).get("model_cfg", {}).get("text_cfg", {})
        # OpenCLIP looks for the text tower's configuration in the place that was right when the folder was written.
        moved = {"text_cfg": {**text, "hf_model_name": name.removeprefix(LOCAL), "hf_model_pretrained": False}}
        model, _, prepare = open_clip.create_model_and_transforms(
            name, pretrained=pretrained, **(moved if "hf_model_name" in text else {})
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsUnavailable(f"no OpenCLIP model '{name}' ({pretrained or 'its own weights'}): {error}") from error
    return model.eval(), prepare


def _local_config(name: str) -> dict[str, Any]:
    """The configuration of a "local-dir:" model; empty for others."""
    if not name.startswith(LOCAL):
        return {}
    config: dict[str, Any] = json.loads((Path(name.removeprefix(LOCAL)) / OPEN_CLIP_CONFIG).read_text(encoding="utf-8"))
    return config
