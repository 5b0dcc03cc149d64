"""Stage `export`: the trained parts as a diffusers folder of fp16 safetensors."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from training.shapes.controlnet import load_controlnet, new_controlnet
from training.shapes.depth import load_depth_net, new_depth_net
from training.shapes.embedding import WORD, export_embedding
from training.shapes.encode import load_dataset
from training.shapes.libraries import StableDiffusionPipeline
from training.shapes.lora import STYLE, export_lora
from training.shapes.settings import Settings
from training.shapes.tiny import load_tiny, new_tiny
from training.shapes.tokens import load_tokenizer
from training.shapes.unet import load_model, new_scheduler
from training.shapes.vae import load_vae

TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json")


def export_assets(settings: Settings, preliminary: bool = False) -> Path:
    """Write every trained part below `settings.assets_dir`; returns that folder.

    With `preliminary`, stages that have not run yet are exported untrained (a ControlNet that adds nothing), or left
    as they are (the LoRA and the embedding).
    """
    target = settings.assets_dir
    model = load_model(settings)
    vae = load_vae(settings)
    vae.register_to_config(scaling_factor=load_dataset(settings).scaling_factor)
    has_control = not preliminary or (settings.work_dir / "controlnet.pt").exists()
    has_depth = not preliminary or (settings.work_dir / "depth.pt").exists()
    has_tiny = not preliminary or (settings.work_dir / "tiny.pt").exists()
    controlnet = load_controlnet(settings, model) if has_control else new_controlnet(model)
    depth = load_depth_net(settings, model) if has_depth else new_depth_net(model)
    tiny = load_tiny(settings) if has_tiny else new_tiny()
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=model.text_encoder,
        tokenizer=load_tokenizer(settings.work_dir / "tokenizer"),
        unet=model.unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(target)
    controlnet.to(torch.float16).save_pretrained(target / "controlnet_canny")
    depth.to(torch.float16).save_pretrained(target / "controlnet_depth")
    tiny.to(torch.float16).save_pretrained(target / "vae_tiny")
    _write_tokenizer(settings.work_dir / "tokenizer", target / "tokenizer")
    if not preliminary or (settings.work_dir / "lora.pt").exists():
        export_lora(settings, target / f"lora_{STYLE}")
    if not preliminary or (settings.work_dir / "embedding.pt").exists():
        export_embedding(settings, target / f"embedding_{WORD}")
    return target


def assets_bytes(folder: Path) -> int:
    """Total size of the exported files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write_tokenizer(source: Path, target: Path) -> None:
    """Replace what the library wrote with the plain CLIP files, which every version of it reads."""
    shutil.rmtree(target)
    target.mkdir()
    for name in TOKENIZER_FILES:
        shutil.copy(source / name, target / name)
