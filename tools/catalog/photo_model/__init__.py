"""What was trained of the embedded photo model, with its card; see `tools.catalog.photo_encoder`."""

from pathlib import Path

TRAINED = Path(__file__).with_name("trained.safetensors")
"""What `storehand train photos` made of grocery_store and clothing_small."""
