from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.pool import ModelPool, model_bytes
from sdgraph.payloads.handles import ControlNetHandle, ModelHandle

MODEL_BYTES = 400


def handle_of(name: str) -> ControlNetHandle:
    return ControlNetHandle(
        source=name, component="", fingerprint=name, family="sd1", conditioning_width=32, downscale=8
    )


class Loader:
    """Makes a model of 400 bytes for every handle, and counts."""

    def __init__(self, failures: int = 0) -> None:
        self.loaded: list[str] = []
        self.failures = failures
        self.made: list[weakref.ref[nn.Module]] = []

    def __call__(self, handle: ModelHandle, device: str) -> object:
        if self.failures:
            self.failures -= 1
            raise ModelError("model-damaged", f"{handle.source} is damaged.", "Copy it again.")
        self.loaded.append(handle.source)
        model = nn.Linear(99, 1, bias=True)
        self.made.append(weakref.ref(model))
        return model


def use(pool: ModelPool, *names: str) -> None:
    for name in names:
        with pool.lease(handle_of(name)):
            pass


def test_two_jobs_load_a_model_once(tiny: Checkpoint) -> None:
    pool = ModelPool()
    with pool.lease(tiny.denoiser) as first:
        pass
    with pool.lease(replace(tiny.denoiser, source="moved elsewhere")) as second:
        assert second is first
    assert pool.load_count == 1
    assert pool.held_bytes == model_bytes(first) > 0


def test_another_dtype_or_device_is_another_model() -> None:
    loader = Loader()
    pool = ModelPool(load=loader)
    use(pool, "a")
    with pool.lease(replace(handle_of("a"), dtype="bfloat16")), pool.lease(handle_of("a"), "meta"):
        assert pool.load_count == 3


def test_threads_never_run_inside_one_model_at_once_and_load_it_once() -> None:
    loader = Loader()
    pool = ModelPool(load=loader)
    start = threading.Barrier(8)
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        start.wait(timeout=60)
        for _ in range(50):
            with pool.lease(handle_of("a")) as model:
                inside.append(1)
                model(torch.zeros(1, 99))
                most.append(len(inside))
                inside.pop()

    with ThreadPoolExecutor(8) as threads:
        for job in [threads.submit(work) for _ in range(8)]:
            job.result(timeout=60)
    assert max(most) == 1
    assert len(most) == 400
    assert loader.loaded == ["a"]


def test_a_thread_may_lease_a_model_twice() -> None:
    pool = ModelPool(load=Loader())
    with pool.lease(handle_of("a")) as outer, pool.lease(handle_of("a")) as inner:
        assert inner is outer


def test_the_least_recently_used_model_goes_first() -> None:
    loader = Loader()
    pool = ModelPool(2 * MODEL_BYTES, loader)
    use(pool, "a", "b", "a", "c", "a")
    assert loader.loaded == ["a", "b", "c"]
    use(pool, "b")
    assert loader.loaded == ["a", "b", "c", "b"]
    assert pool.held_bytes == 2 * MODEL_BYTES


def test_an_evicted_model_is_really_freed() -> None:
    loader = Loader()
    pool = ModelPool(MODEL_BYTES, loader)
    use(pool, "a", "b")
    gc.collect()
    assert loader.made[0]() is None
    assert loader.made[1]() is not None


def test_a_model_in_use_is_never_evicted() -> None:
    loader = Loader()
    pool = ModelPool(0, loader)
    with pool.lease(handle_of("a")) as model:
        use(pool, "b")
        assert pool.release() == 0
        with pool.lease(handle_of("a")) as again:
            assert again is model
    assert pool.held_bytes == 0


def test_release_frees_one_model_or_all() -> None:
    pool = ModelPool(load=Loader())
    use(pool, "a", "b", "c")
    assert pool.release(handle_of("b")) == MODEL_BYTES
    assert pool.held_bytes == 2 * MODEL_BYTES
    assert pool.release() == 2 * MODEL_BYTES
    assert pool.held_bytes == 0


def test_a_failed_load_leaves_nothing_and_is_tried_again() -> None:
    loader = Loader(failures=1)
    pool = ModelPool(load=loader)
    with pytest.raises(ModelError), pool.lease(handle_of("a")):
        pass
    assert pool.held_bytes == 0
    use(pool, "a")
    assert loader.loaded == ["a"]


def test_an_error_inside_a_lease_gives_the_model_back() -> None:
    pool = ModelPool(load=Loader())
    with pytest.raises(RuntimeError, match="inside"), pool.lease(handle_of("a")):
        raise RuntimeError("inside")
    assert pool.release() == MODEL_BYTES


@given(
    budget=st.integers(0, 4),
    steps=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["lease", "return", "release"])), max_size=40),
)
def test_any_order_of_leases_keeps_used_models_and_the_budget(budget: int, steps: list[tuple[str, str]]) -> None:
    pool = ModelPool(budget * MODEL_BYTES, Loader())
    held: dict[str, tuple[ExitStack, nn.Module]] = {}
    for name, action in steps:
        if action == "lease" and name not in held:
            stack = ExitStack()
            held[name] = (stack, stack.enter_context(pool.lease(handle_of(name))))
        elif action == "return" and name in held:
            held.pop(name)[0].close()
        elif action == "release":
            pool.release(handle_of(name))
        assert pool.held_bytes <= max(budget, len(held)) * MODEL_BYTES
        for used, (_, model) in held.items():
            with pool.lease(handle_of(used)) as again:
                assert again is model
    for stack, _ in held.values():
        stack.close()
    assert pool.held_bytes <= budget * MODEL_BYTES
