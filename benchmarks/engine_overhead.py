"""What the engine itself costs: CPU time and memory for each node of graphs whose nodes do next to nothing.

    python -m benchmarks.engine_overhead [--sizes 1000 10000 100000] [--repeats 5] [--json]

In one process, with the memory store. *Cold* is planning and running with an empty store, *cached* the same graph once
more; both count the CPU time of all threads (process time), so other programs on the machine disturb them little.
Shapes and sizes take turns, and the median of the repeats counts. Memory is what graph, plan, report and stored results
hold at the end, and the most they held (tracemalloc, in a fresh process).
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.toys import PAYLOADS, REGISTRY, Add
from sdgraph.core.build import build_graph
from sdgraph.core.graph import Graph
from sdgraph.core.workflow import Workflow
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import Plan, make_plan
from sdgraph.engine.report import RunReport
from sdgraph.engine.stores.memory import MemoryStore

COLD_LIMIT_US, CACHED_LIMIT_US, GROWTH_LIMIT, MEMORY_LIMIT_BYTES = 100.0, 30.0, 1.3, 2048
_NODES_PER_REPEAT = 20_000
"""Small graphs are run several times for one measurement, so that it takes long enough to be measured."""


def chain(nodes: int) -> Graph:
    """Each node reads the one before; the last is the output."""
    workflow = Workflow("chain")
    value: Any = workflow.add("n0", Add()).out.value
    for place in range(1, nodes):
        value = workflow.add(f"n{place}", Add(a=value, b=place)).out.value
    workflow.output("out", value)
    return build_graph(workflow, REGISTRY, max_nodes=nodes)


def wide(nodes: int) -> Graph:
    """One node that all others read; each of these is an output."""
    workflow = Workflow("wide")
    root: Any = workflow.add("root", Add()).out.value
    for place in range(1, nodes):
        workflow.output(f"out{place}", workflow.add(f"n{place}", Add(a=root, b=place)).out.value)
    return build_graph(workflow, REGISTRY, max_nodes=nodes)


SHAPES: dict[str, Callable[[int], Graph]] = {"chain": chain, "wide": wide}


@dataclass(frozen=True)
class Cost:
    """Microseconds of CPU time for each node."""

    cold_us: float
    cached_us: float


def run_once(graph: Graph, executor: Executor, expected: str) -> tuple[float, Plan, RunReport]:
    """Plan and run; gives the CPU seconds of all threads. Raises RuntimeError if the run did not do what it should."""
    gc.collect()
    started = time.process_time()
    plan = make_plan(graph, executor.store)
    report = executor.run(plan)
    elapsed_s = time.process_time() - started
    if {node.status for node in report.nodes.values()} != {expected}:
        raise RuntimeError(f"expected that every node is {expected!r}: {report.problems}")
    return elapsed_s, plan, report


def measure(graph: Graph) -> Cost:
    """One measurement of a graph, cold and cached."""
    times = max(1, _NODES_PER_REPEAT // len(graph.nodes))
    cold_s = cached_s = 0.0
    for _ in range(times):
        executor = Executor(REGISTRY, MemoryStore(PAYLOADS))
        cold_s += run_once(graph, executor, "ran")[0]
        cached_s += run_once(graph, executor, "hit")[0]
    scale = 1e6 / times / len(graph.nodes)
    return Cost(cold_s * scale, cached_s * scale)


def memory_of(shape: str, nodes: int) -> tuple[float, float]:
    """Bytes for each node, traced in this process: held after a run, and the most while planning and running."""
    measure(SHAPES[shape](1000))
    gc.collect()
    tracemalloc.start()
    graph = SHAPES[shape](nodes)
    gc.collect()
    tracemalloc.reset_peak()  # writing the workflow down and checking it takes more, and is not the engine's
    held = run_once(graph, Executor(REGISTRY, MemoryStore(PAYLOADS)), "ran")
    gc.collect()
    live, peak = tracemalloc.get_traced_memory()
    del held
    return live / nodes, peak / nodes


def benchmark(sizes: list[int], repeats: int) -> dict[str, Any]:
    """All figures, as `--json` prints them."""
    graphs = {(shape, nodes): make(nodes) for shape, make in SHAPES.items() for nodes in sizes}
    costs: dict[tuple[str, int], list[Cost]] = {case: [] for case in graphs}
    measure(graphs[next(iter(SHAPES)), sizes[0]])
    for _ in range(repeats):
        for case, graph in graphs.items():
            costs[case].append(measure(graph))
    rows = [
        {
            "shape": shape,
            "nodes": nodes,
            "cold_us": round(statistics.median(cost.cold_us for cost in found), 2),
            "cold_min_us": round(min(cost.cold_us for cost in found), 2),
            "cached_us": round(statistics.median(cost.cached_us for cost in found), 2),
            "cached_min_us": round(min(cost.cached_us for cost in found), 2),
        }
        for (shape, nodes), found in costs.items()
    ]
    return {"repeats": repeats, "costs": rows, "growth": growth(rows), "memory": memory(sizes[-1])}


def growth(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Cost of a node in the largest graph over that in the smallest, by shape."""
    found: dict[str, dict[str, float]] = {}
    for shape in SHAPES:
        of_shape = [row for row in rows if row["shape"] == shape]
        first, last = of_shape[0], of_shape[-1]
        found[shape] = {kind: round(last[f"{kind}_us"] / first[f"{kind}_us"], 3) for kind in ("cold", "cached")}
    return found


def memory(nodes: int) -> list[dict[str, Any]]:
    """Bytes of memory for each node, by shape, each in a fresh process."""
    found: list[dict[str, Any]] = []
    for shape in SHAPES:
        command = [sys.executable, __file__, "--memory-of", shape, "--sizes", str(nodes)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        live, peak = json.loads(said)
        found.append({"shape": shape, "nodes": nodes, "live_bytes": round(live), "peak_bytes": round(peak)})
    return found


def show(found: dict[str, Any]) -> None:
    print(f"CPU time for each node in µs: median of {found['repeats']} (least), planning included")
    for row in found["costs"]:
        cold, cached = (f"{row[f'{kind}_us']:6.1f} ({row[f'{kind}_min_us']:.1f})" for kind in ("cold", "cached"))
        print(f"  {row['shape']:6}{row['nodes']:>8,}   cold {cold}   cached {cached}")
    print(f"  limits: cold {COLD_LIMIT_US:.0f}, cached {CACHED_LIMIT_US:.0f}")
    for shape, ratio in found["growth"].items():
        print(f"Growth of {shape}: cold {ratio['cold']:.2f}, cached {ratio['cached']:.2f}   limit {GROWTH_LIMIT}")
    for row in found["memory"]:
        print(
            f"Memory of {row['shape']} of {row['nodes']:,}: {row['live_bytes']:,} bytes a node live, "
            f"{row['peak_bytes']:,} at the peak   limit {MEMORY_LIMIT_BYTES:,}"
        )


def main(arguments: list[str] | None = None) -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], metavar="NODES")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--memory-of", choices=SHAPES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.memory_of:
        print(json.dumps(memory_of(options.memory_of, options.sizes[-1])))
        return
    found = benchmark(sorted(options.sizes), options.repeats)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
