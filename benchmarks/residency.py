"""Does memory stay flat while models come and go? Bytes of the process and of the pool, switch by switch.

    python -m benchmarks.residency [--switches 50] [--json FILE]
    python -m benchmarks.residency --vae [--rounds 2] [--json FILE]

*Families*: a picture with SDXL, one with Stable Diffusion 1.5, and again, with a budget that holds one of them, so that
each switch frees the one and loads the other. *Autoencoder*: another one for a picture, then none: the original must
come back bit for bit, and the other's memory be free. Both with the tiny synthetic models, which have the real
architectures.

With `--vae`, these are left out, and decoding in tiles is measured against decoding in one piece, in turns: the
autoencoder of Stable Diffusion 1.5 at its full size with random weights, float32 on one thread. Time is that of the
processor, memory the most that the process took beyond what it had before.

The process' figures are the kernel's (VmRSS, and VmHWM reset before each switch). glibc keeps freed memory for itself,
in amounts that depend on the order of events; so each is read after `malloc_trim`, which gives back what can be given
back, and growth shows only what is still held. The trend is the slope of a line through the second half of the
switches, times their number: the first half is where caches of libraries fill up.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.memory.process import ProcessGauge
from sdgraph.models.network import open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.shipped_configs import shipped_config
from sdgraph.models.text import encode_prompt
from sdgraph.models.vae import decode_latents
from sdgraph.models.weights_bytes import weights_bytes
from sdgraph.payloads.handles import VaeHandle
from sdgraph.payloads.latents import Latents

FAMILIES = ("synthetic:sdxl-tiny", "synthetic:sd15-tiny")
_LATENT_SIDE = 8


@dataclass(frozen=True, slots=True)
class Switch:
    """Memory after one switch, in bytes."""

    model: str
    resident: int
    peak: int
    """The most during the switch."""
    pool: int
    loads: int
    """Models loaded so far."""


def measure_families(switches: int) -> list[Switch]:
    """Draw with each family in turn."""
    checkpoints = [read_checkpoint(source) for source in FAMILIES]
    budget = max(map(_checkpoint_bytes, checkpoints))
    pool, gauge, found = ModelPool({"cpu": budget + 2048}), ProcessGauge(), list[Switch]()
    for turn in range(switches + 1):
        checkpoint = checkpoints[turn % 2]
        trim()
        gauge.start()
        draw(pool, checkpoint)
        peak = gauge.peak_bytes() or 0
        trim()
        found.append(
            Switch(checkpoint.denoiser.source, gauge.used_bytes() or 0, peak, pool.held_bytes, pool.load_count)
        )
    return found


def measure_autoencoder(switches: int) -> dict[str, Any]:
    """The original, another autoencoder, the original again, `switches` times."""
    checkpoint = read_checkpoint(FAMILIES[1])
    other, pool = checkpoint.denoiser.preview, ModelPool()
    assert other is not None
    pictures, held = {decode(pool, checkpoint.vae)}, {pool.held_bytes}
    for _ in range(switches):
        decode(pool, other)
        pool.release(other)
        held.add(pool.held_bytes)
        pictures.add(decode(pool, checkpoint.vae))
    return {"switches": switches, "pictures": len(pictures), "pool_bytes": sorted(held), "loads": pool.load_count}


def draw(pool: ModelPool, checkpoint: Checkpoint) -> None:
    """A prompt, a step and a decode: every model of the checkpoint works once."""
    with pool.lease(checkpoint.text_encoder) as text:
        prompt = encode_prompt("a red star", text)
    x = torch.ones(1, checkpoint.denoiser.space.channels, _LATENT_SIDE, _LATENT_SIDE)
    with open_network(pool, checkpoint.denoiser) as network:
        network(x, torch.tensor([500.0]), (prompt,))
    decode(pool, checkpoint.vae)


def decode(pool: ModelPool, vae: VaeHandle) -> str:
    """Decode fixed latents; a digest of the picture."""
    generator = torch.Generator().manual_seed(1)
    samples = torch.randn(1, vae.space.channels, _LATENT_SIDE, _LATENT_SIDE, generator=generator)
    with pool.lease(vae) as model:
        picture = decode_latents(model, vae, Latents(samples, vae.space))
    return hashlib.sha256(picture.pixels.tobytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class Decode:
    """One decode of one picture."""

    side_px: int
    tile_px: int
    """0: in one piece."""
    seconds: float
    """Of the processor."""
    host_bytes: int
    """The most beyond what the process had before."""


def measure_vae(sides_px: Sequence[int] = (256, 512), tile_px: int = 128, rounds: int = 2) -> list[Decode]:
    """Decode pictures of these sides in one piece and in tiles, in turns."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    config = json.loads((shipped_config("sd1") / "vae" / "config.json").read_bytes())
    torch.manual_seed(0)
    model: Any = AutoencoderKL.from_config(config)
    model.eval().requires_grad_(False)
    vae = read_checkpoint(FAMILIES[1]).vae  # for its space, which is that of every Stable Diffusion 1.5
    found = list[Decode]()
    for side_px in sides_px:
        side = side_px // vae.space.downscale
        latents = Latents(torch.randn(1, vae.space.channels, side, side), vae.space)
        for edge in (0, tile_px) * rounds:
            found.append(decode_measured(model, vae, latents, edge))
    return found


def decode_measured(model: Any, vae: VaeHandle, latents: Latents, tile_px: int) -> Decode:
    """What one decode takes."""
    gauge = ProcessGauge()
    trim()
    gauge.start()
    before, started = gauge.used_bytes() or 0, time.process_time()
    picture = decode_latents(model, vae, latents, tile_px)
    taken_s = time.process_time() - started
    return Decode(picture.width_px, tile_px, taken_s, (gauge.peak_bytes() or 0) - before)


def show_vae(found: Sequence[Decode]) -> None:
    """The least of each figure over the rounds, and its ratio to one piece."""
    for side_px in dict.fromkeys(entry.side_px for entry in found):
        own = [entry for entry in found if entry.side_px == side_px]
        whole, tiled = ([entry for entry in own if bool(entry.tile_px) is tiles] for tiles in (False, True))
        once, parts = (min(entry.seconds for entry in kind) for kind in (whole, tiled))
        most, less = (min(entry.host_bytes for entry in kind) for kind in (whole, tiled))
        print(f"{side_px} px: one piece {once:.1f} s, {most / 2**20:,.0f} MiB; tiles of {tiled[0].tile_px} px "
              f"{parts:.1f} s, {less / 2**20:,.0f} MiB; ratios {parts / once:.2f} and {less / most:.2f}")  # fmt: skip


def trim() -> None:
    """Free what is garbage, and give freed memory back to the system where glibc can."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def trend(values: Sequence[int]) -> float:
    """Growth over the second half of the values, by a least-squares line, as a share of their mean."""
    half = values[len(values) // 2 :]
    slope = statistics.linear_regression(range(len(half)), half).slope
    return slope * (len(half) - 1) / statistics.fmean(half)


def by_model(found: Sequence[Switch], name: str) -> dict[str, list[int]]:
    """A figure of all switches, by the model that was switched to."""
    return {source: [getattr(entry, name) for entry in found if entry.model == source] for source in FAMILIES}


def summary(found: Sequence[Switch]) -> dict[str, Any]:
    """What is flat and what is not."""
    return {
        "switches": len(found) - 1,
        "loads": found[-1].loads,
        "pool_bytes": {source: sorted(set(values)) for source, values in by_model(found, "pool").items()},
        "resident_trend": {source: trend(values) for source, values in by_model(found, "resident").items()},
        "peak_trend": {source: trend(values) for source, values in by_model(found, "peak").items()},
        "resident_mb": {
            source: [round(values[0] / 1e6, 1), round(values[len(values) // 2] / 1e6, 1), round(values[-1] / 1e6, 1)]
            for source, values in by_model(found, "resident").items()
        },
    }


def _checkpoint_bytes(checkpoint: Checkpoint) -> int:
    handles = (checkpoint.text_encoder, checkpoint.denoiser, checkpoint.vae)
    return sum(weights_bytes(handle) or 0 for handle in handles)


def show(families: dict[str, Any], autoencoder: dict[str, Any]) -> None:
    """The figures as people read them."""
    print(f"{families['switches']} switches between SDXL and Stable Diffusion 1.5, {families['loads']} loads")
    for source in FAMILIES:
        pool = ", ".join(f"{size:,}" for size in families["pool_bytes"][source])
        first, middle, last = families["resident_mb"][source]
        print(f"  {source:22s} pool {pool} bytes; resident {first} -> {middle} -> {last} MB, second half "
              f"{families['resident_trend'][source]:+.2%}, peak {families['peak_trend'][source]:+.2%}")  # fmt: skip
    sizes = ", ".join(f"{size:,}" for size in autoencoder["pool_bytes"])
    print(f"{autoencoder['switches']} times another autoencoder and back: {autoencoder['pictures']} picture of the "
          f"original, pool {sizes} bytes")  # fmt: skip


def switching(switches: int) -> dict[str, Any]:
    """Both parts about switching, shown; all their figures."""
    found = measure_families(switches)
    families, autoencoder = summary(found), measure_autoencoder(switches)
    show(families, autoencoder)
    return {"families": families, "autoencoder": autoencoder, "rows": [asdict(entry) for entry in found]}


def tiles(rounds: int) -> dict[str, Any]:
    """The part about tiles, shown; all its figures."""
    found = measure_vae(rounds=rounds)
    show_vae(found)
    return {"vae": [asdict(entry) for entry in found]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--switches", type=int, default=50)
    parser.add_argument("--vae", action="store_true", help="Measure the autoencoder in tiles instead.")
    parser.add_argument("--rounds", type=int, default=2, help="Decodes of each kind and size.")
    parser.add_argument("--json", type=Path, help="Write all figures to this file.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        os.environ.setdefault("SDGRAPH_HOME", home)
        figures = tiles(options.rounds) if options.vae else switching(options.switches)
    if options.json:
        options.json.write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
