"""What the cache saves and costs, as ratios measured in one process, the sides of each taking turns.

    python -m benchmarks.cache [--repeats 15] [--entries 100000] [--small] [--json]

*Restart*: a workflow of 20 nodes that smooth pictures, computed, and run again with a store that is opened anew.
*Storing*: the same computed with memory alone and with memory and disk. *Hits*: finding and reading a result by its
size, in memory and on disk (digest checked; the files are in the system's cache). *Seeds*: one prompt and many seeds.
*Large store*: `info` and a hit in a store of very many entries. Files lie in a temporary folder. Times are by the
clock. Of storing the CPU time of all threads is told, too: its thread works beside the nodes, on a core that a run on a
GPU has to spare. On a virtual machine most of it is the host giving memory for the files, at its first use.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.toys import PAYLOADS, REGISTRY, Encode, Noise, Picture, Sample, Smooth
from sdgraph.core.build import build_graph
from sdgraph.core.workflow import Workflow
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import make_plan
from sdgraph.engine.stores.base import Result, ResultStore
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.index import _INSERT, _digest
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.engine.stores.tiered import TieredStore

LIMITS = {
    "restart": 50.0,
    "storing": 1.05,
    "memory_hit_us": 100.0,
    "disk_read_gb_s": 1.0,
    "encoder_runs": 2,
    "info_ms": 50.0,
    "entry_hit_ms": 1.0,
}
NODES = 20


def showcase(edge_px: int, seed: int, steps: int) -> Workflow:
    """One picture, smoothed again and again: 20 nodes, the last one is the output."""
    workflow = Workflow("showcase")
    value: Any = workflow.add("noise", Noise(seed=seed, edge_px=edge_px)).out.picture
    for place in range(NODES - 1):
        value = workflow.add(f"smooth{place}", Smooth(picture=value, steps=steps + place)).out.picture
    workflow.output("picture", value)
    return workflow


class Cost(NamedTuple):
    """Seconds by the clock, and of the CPU by all threads."""

    wall_s: float
    cpu_s: float


def run(workflow: Workflow, store: ResultStore, expected: str) -> Cost:
    """What it takes to plan and run. Raises RuntimeError if the run did not do what it should."""
    graph = build_graph(workflow, REGISTRY)
    started, cpu_started = time.perf_counter(), time.process_time()
    report = Executor(REGISTRY, store).run(make_plan(graph, store))
    cost = Cost(time.perf_counter() - started, time.process_time() - cpu_started)
    if {node.status for node in report.nodes.values()} != {expected}:
        raise RuntimeError(f"expected that every node is {expected!r}: {report.problems}")
    return cost


def tiers(folder: Path) -> TieredStore:
    return TieredStore(PAYLOADS, MemoryStore(PAYLOADS), DiskStore(folder, PAYLOADS))


def showcases(folder: Path, edge_px: int, steps: int, repeats: int) -> dict[str, Any]:
    """Computing with memory alone, with disk, and the run after a restart; who goes first alternates."""
    alone: list[Cost] = []
    storing: list[Cost] = []
    again: list[Cost] = []
    for repeat in range(repeats + 1):
        workflow = showcase(edge_px, repeat, steps)

        def compute_alone(workflow: Workflow = workflow) -> None:
            with closing(MemoryStore(PAYLOADS)) as store:
                alone.append(run(workflow, store, "ran"))

        def compute_and_store(workflow: Workflow = workflow) -> None:
            with closing(tiers(folder / str(edge_px))) as store:
                storing.append(run(workflow, store, "ran"))

        sides = (compute_alone, compute_and_store)
        for side in sides if repeat % 2 else reversed(sides):
            side()
        with closing(tiers(folder / str(edge_px))) as store:
            again.append(run(workflow, store, "hit"))
    pairs = list(zip(storing, alone, strict=True))[1:]  # the first of each warms up
    computed, stored, restarted = (
        statistics.median(one.wall_s for one in found[1:]) for found in (alone, storing, again)
    )
    return {
        "edge_px": edge_px,
        "computed_ms": round(computed * 1e3, 2),
        "stored_ms": round(stored * 1e3, 2),
        "restarted_ms": round(restarted * 1e3, 2),
        "restart": round(computed / restarted, 1),
        "storing": round(statistics.median(one.wall_s / other.wall_s for one, other in pairs), 3),
        "storing_cpu": round(statistics.median(one.cpu_s / other.cpu_s for one, other in pairs), 3),
    }


def least_s(work: Callable[[], Any], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds, the least of the repeats: other programs only ever add to it."""
    found: list[float] = []
    for _ in range(repeats):
        started = clock()
        work()
        found.append(clock() - started)
    return min(found)


def hits(folder: Path, nbytes: int, repeats: int) -> dict[str, Any]:
    """Finding and reading one result."""
    pixels = np.random.default_rng(nbytes).random((1, nbytes // 4), np.float32)
    result = Result({"picture": Picture(pixels)}, 10.0, "bench.noise", 1)
    key = blake2b(str(nbytes).encode(), digest_size=32).digest()
    memory = MemoryStore(PAYLOADS)
    memory.save(key, result)
    with closing(DiskStore(folder / "hits", PAYLOADS)) as disk:
        disk.save(key, result, keep=True)
        disk_s = least_s(lambda: (disk.find(key), disk.load(key)), repeats)
        disk_cpu_s = least_s(lambda: (disk.find(key), disk.load(key)), repeats, time.process_time)
        memory_s = least_s(lambda: (memory.find(key), memory.load(key)), repeats * 20)
    return {
        "nbytes": nbytes,
        "memory_hit_us": round(memory_s * 1e6, 2),
        "disk_hit_ms": round(disk_s * 1e3, 3),
        "disk_read_gb_s": round(nbytes / disk_s / 1e9, 2),
        "disk_read_cpu_gb_s": round(nbytes / disk_cpu_s / 1e9, 2),
    }


def seeds(folder: Path, count: int) -> int:
    """How often the text encoder runs for one prompt, one negative prompt, and many seeds, each a run of its own."""
    Encode.runs = 0
    with closing(tiers(folder / "seeds")) as store:
        for seed in range(count):
            workflow = Workflow("seeds")
            positive, negative = (workflow.add(name, Encode(text=name)).out.value for name in ("positive", "negative"))
            sample = workflow.add("sample", Sample(positive=positive, negative=negative, seed=seed))
            workflow.output("out", sample.out.value)
            report = Executor(REGISTRY, store).run(make_plan(build_graph(workflow, REGISTRY), store))
            if report.status != "done":
                raise RuntimeError(f"seed {seed}: {report.problems}")
    return Encode.runs


def large_store(folder: Path, entries: int, repeats: int) -> dict[str, Any]:
    """`info` and hits in a store of many entries. They are written into the index directly, plain values each."""
    with closing(DiskStore(folder / "large", PAYLOADS)) as store:
        index = store._index._connection
        index.execute("BEGIN")
        for number in range(entries):
            key = blake2b(number.to_bytes(8, "big"), digest_size=32).digest()
            outputs = {"value": {"type": "", "meta": number}, "text": {"type": "", "meta": "x" * 300}}
            manifest = json.dumps(
                {"outputs": outputs, "elapsed_s": 1.0, "node_type": "bench.encode", "node_version": 1}
            ).encode()
            index.execute(_INSERT, (key, manifest, _digest(key, manifest), 0, 1.0, time.time()))
        index.execute("COMMIT")
    keys = [blake2b(number.to_bytes(8, "big"), digest_size=32).digest() for number in range(0, entries, entries // 50)]
    infos: list[float] = []
    found: list[float] = []
    for _ in range(repeats):
        with closing(DiskStore(folder / "large", PAYLOADS)) as store:
            if store.load(keys[0]) is None:
                raise RuntimeError("an entry is missing")
            infos.append(least_s(store.info, 1))
            found += [least_s(lambda key=key: (store.find(key), store.load(key)), 1) for key in keys]
    return {
        "entries": entries,
        "info_ms": round(statistics.median(infos) * 1e3, 3),
        "entry_hit_ms": round(statistics.median(found) * 1e3, 4),
    }


def benchmark(repeats: int, entries: int, *, small: bool = False) -> dict[str, Any]:
    """All figures, as `--json` prints them."""
    with tempfile.TemporaryDirectory(prefix="sdgraph-bench-") as name:
        folder = Path(name)
        cases = ((16, 30), (32, 30)) if small else ((256, 1800), (512, 500))  # about a tenth of a second for each node
        sizes = (2**10, 2**16) if small else (2**10, 2**20, 2**26, 2**28)
        return {
            "repeats": repeats,
            "showcases": [showcases(folder, edge_px, steps, repeats) for edge_px, steps in cases],
            "hits": [hits(folder, nbytes, repeats) for nbytes in sizes],
            "seeds": 10 if small else 1_000,
            "encoder_runs": seeds(folder, 10 if small else 1_000),
            "large_store": large_store(folder, entries, repeats),
        }


def show(found: dict[str, Any]) -> None:
    print(f"{NODES} nodes, median of {found['repeats']} (storing: of the ratios of {found['repeats']} pairs)")
    for row in found["showcases"]:
        print(
            f"  {row['edge_px']:>4} px: computed {row['computed_ms']:8.1f} ms, again after a restart "
            f"{row['restarted_ms']:6.1f} ms: {row['restart']:.0f} times as fast (limit {LIMITS['restart']:.0f}); "
            f"storing costs {(row['storing'] - 1) * 100:+.1f} % (limit {(LIMITS['storing'] - 1) * 100:.0f} %), "
            f"of CPU time {(row['storing_cpu'] - 1) * 100:+.1f} %"
        )
    print("Hits")
    for row in found["hits"]:
        memory = f"memory {row['memory_hit_us']:6.1f} µs (limit {LIMITS['memory_hit_us']:.0f})"
        read = f"{row['disk_read_gb_s']:.2f} GB/s (limit {LIMITS['disk_read_gb_s']:.0f} above 1 MiB)"
        read += f", {row['disk_read_cpu_gb_s']:.2f} GB for each second of CPU"
        print(f"  {row['nbytes']:>11,} bytes: {memory}, disk {row['disk_hit_ms']:8.2f} ms, {read}")
    print(f"{found['seeds']:,} seeds with one prompt: the text encoder ran {found['encoder_runs']} times (limit 2)")
    row = found["large_store"]
    print(
        f"{row['entries']:,} entries: info {row['info_ms']:.2f} ms (limit {LIMITS['info_ms']:.0f}), "
        f"a hit {row['entry_hit_ms']:.3f} ms (limit {LIMITS['entry_hit_ms']:.0f})"
    )


def main(arguments: list[str] | None = None) -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--small", action="store_true", help="sizes that say nothing about the cost")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    found = benchmark(options.repeats, options.entries, small=options.small)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
