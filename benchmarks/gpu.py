"""What only a GPU can show: models that leave it and come back, memory that runs out, and how well peaks are expected.

    python -m benchmarks.gpu [--device cuda:0] [--model synthetic:sd15] [--json FILE]

*Moves*: the denoiser goes to the CPU for the autoencoder and comes back; the bytes that the device holds, the seconds
of a transfer against those of a load, and whether every bit is the same. *Peaks*: two decodes are measured, a third is
expected from them and measured too. *Remedies*: PyTorch's allocator is held to less than a decode needs
(`torch.cuda.set_per_process_memory_fraction`), and the run must end all the same, saying what it did.

Without such a device it says so and measures nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from sdgraph_nodes.vae import VaeDecode

from sdgraph.core.context import running
from sdgraph.engine.context import CancelToken, NodeContext, Services
from sdgraph.engine.events import EventStream
from sdgraph.engine.remedies import with_remedies
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.memory.meter import MemoryMeter, pixels_in, total_bytes
from sdgraph.models.memory.needs import entry_of
from sdgraph.models.memory.recovery import MemoryRecovery
from sdgraph.models.placing import modules_of
from sdgraph.models.pool import ModelPool
from sdgraph.models.pool_events import PoolEvent
from sdgraph.models.weights_bytes import weights_bytes
from sdgraph.payloads.latents import Latents


def bits(model: Any) -> str:
    """A digest of every weight."""
    digest = hashlib.sha256()
    for module in modules_of(model):
        for tensor in module.parameters():
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def measure_moves(checkpoint: Checkpoint, device: str) -> dict[str, Any]:
    """The denoiser leaves for the autoencoder, and comes back."""
    told: list[PoolEvent] = []
    pool = ModelPool({device: weights_bytes(checkpoint.denoiser) or 0}, listeners=(told.append,))
    digests: list[str] = []
    allocated: list[int] = []
    for _ in range(3):
        with pool.lease(checkpoint.denoiser, device) as model:
            digests.append(bits(model))
        allocated.append(torch.cuda.memory_allocated(device))
        with pool.lease(checkpoint.vae, device):
            pass
    pool.release()
    return {
        "same_bits": len(set(digests)) == 1,
        "loads": pool.load_count,
        "allocated_bytes": allocated,
        "left_bytes": torch.cuda.memory_allocated(device),
        "seconds": {f"{event.what} {event.model}": round(event.elapsed_s, 3) for event in told},
    }


def context_of(device: str) -> NodeContext:
    """A run context with a pool of its own."""
    events = EventStream("gpu", ())
    return NodeContext("image", device, Services({ModelPool: ModelPool}), CancelToken(), events)


def decode_inputs(checkpoint: Checkpoint, side_px: int, batch: int = 1) -> dict[str, Any]:
    """Inputs of a decode, from fixed noise."""
    space, generator = checkpoint.vae.space, torch.Generator().manual_seed(1)
    side = side_px // space.downscale
    samples = torch.randn(batch, space.channels, side, side, generator=generator)
    return {"vae": checkpoint.vae, "latents": Latents(samples, space), "tile_px": 0}


def measure_peaks(checkpoint: Checkpoint, device: str) -> dict[str, int]:
    """What a decode of 768 px is expected to take by those of 384 and 512 px, and what it takes."""
    context, meter = context_of(device), MemoryMeter()
    entry = entry_of("sd.vae_decode", (checkpoint.vae,), device)

    def decode(side_px: int) -> int:
        inputs = decode_inputs(checkpoint, side_px)
        with running(context), meter.measuring("sd.vae_decode", inputs, context):
            VaeDecode(**inputs).run(context)
        return pixels_in(inputs)

    for side_px in (384, 384, 512):
        decode(side_px)
    expected = meter.table.predict(entry, 768 * 768)
    measured = meter.table.predict(entry, decode(768))
    assert expected is not None  # measured at two sizes
    assert measured is not None
    return {"expected_bytes": expected, "measured_bytes": measured}


def measure_remedies(checkpoint: Checkpoint, device: str, peak_bytes: int) -> dict[str, Any]:
    """Decode four pictures of 768 px with the memory of two, then with that of half a picture."""
    weights = weights_bytes(checkpoint.vae) or 0
    return {
        name: decode_within(checkpoint, device, weights + int(pictures * peak_bytes))
        for name, pictures in (("two pictures", 2.0), ("half a picture", 0.5))
    }


def decode_within(checkpoint: Checkpoint, device: str, allowed_bytes: int) -> dict[str, Any]:
    """Decode four pictures of 768 px while PyTorch may take no more than so much; what was done about it."""
    context, inputs = context_of(device), decode_inputs(checkpoint, 768, batch=4)
    node = VaeDecode(**inputs)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(allowed_bytes / total_bytes(device), device)
    try:
        with running(context):
            _, storable = with_remedies(lambda: node.run(context), MemoryRecovery(), inputs, context)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        context.service(ModelPool).release()
    taken = [entry["name"] for entry in context._events.resources if entry["type"] == "remedy"]
    return {"remedies": taken, "stored": storable}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--model", default="synthetic:sd15")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no CUDA device here: nothing was measured.")
        return
    checkpoint = read_checkpoint(options.model)
    figures: dict[str, Any] = {"device": torch.cuda.get_device_name(options.device)}
    figures["moves"] = measure_moves(checkpoint, options.device)
    figures["peaks"] = measure_peaks(checkpoint, options.device)
    figures["remedies"] = measure_remedies(checkpoint, options.device, figures["peaks"]["measured_bytes"])
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
