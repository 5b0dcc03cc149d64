"""Configurations that ship with the package: what the published models of each family are built like.

They describe single files, which carry weights only, and the full-size synthetic models.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

ConfigName = Literal["sd1", "sd2", "sdxl", "sdxl_refiner", "sd3", "sd35_medium", "sd35_large", "flux", "flux_schnell"]


def shipped_config(name: ConfigName) -> Path:
    """A folder in the diffusers layout without weights and tokenizers."""
    return Path(__file__).parent / "configs" / name
