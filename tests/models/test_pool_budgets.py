"""Where models go when a device's budget is used up, and how they come back."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdgraph.core.context import running
from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.load import load_model
from sdgraph.models.placing import model_bytes, modules_of
from sdgraph.models.pool import ModelPool
from sdgraph.models.weights_bytes import weights_bytes
from sdgraph.payloads.handles import VaeHandle
from tests.models.pools import GPU, MODEL_BYTES, Yard, handle_of
from tests.models.test_model_pool import bits
from tests.toys import RecordingContext


def test_a_model_that_leaves_its_device_waits_on_the_cpu_and_comes_back_without_a_load() -> None:
    yard = Yard({GPU: MODEL_BYTES})
    yard.use("a", "b")
    assert yard.places() == {"a": "cpu", "b": GPU}
    yard.use("a")
    assert yard.places() == {"a": GPU, "b": "cpu"}
    assert yard.loaded == ["a", "b"]
    assert yard.moves == ["cpu", "cpu", GPU]
    assert yard.pool.move_count == 3


def test_a_model_is_freed_where_the_cpu_has_no_room_for_it() -> None:
    yard = Yard({GPU: MODEL_BYTES, "cpu": MODEL_BYTES - 1})
    yard.use("a", "b")
    assert yard.places() == {"b": GPU}
    assert yard.moves == []
    assert Yard({GPU: 0}, offload=False).pool.held_bytes == 0


def test_the_cpu_lets_its_least_recently_used_model_go_for_one_that_comes() -> None:
    yard = Yard({GPU: MODEL_BYTES, "cpu": 2 * MODEL_BYTES})
    yard.use("a", "b", "c", "d")
    assert yard.places() == {"b": "cpu", "c": "cpu", "d": GPU}
    assert yard.history()[-3:] == ["loaded d", "freed a", "offloaded c"]
    yard.use("a")
    assert yard.loaded == ["a", "b", "c", "d", "a"]


def test_models_of_other_devices_count_for_none_but_their_own_budget() -> None:
    yard = Yard({GPU: MODEL_BYTES, "cuda:1": MODEL_BYTES})
    yard.use("a")
    yard.use("b", device="cuda:1")
    yard.use("c", device="cpu")
    assert yard.places() == {"a": GPU, "b": "cuda:1", "c": "cpu"}
    assert yard.pool.bytes_on(GPU) == MODEL_BYTES
    assert yard.pool.held_bytes == 3 * MODEL_BYTES


def test_a_pinned_model_stays_until_it_is_unpinned_or_named_in_release() -> None:
    yard = Yard({GPU: MODEL_BYTES})
    yard.pool.pin(handle_of("a"))
    yard.use("a", "b")
    assert yard.places() == {"a": GPU, "b": "cpu"}
    assert yard.pool.release() == MODEL_BYTES
    assert yard.places() == {"a": GPU}
    assert [resident.pinned for resident in yard.pool.residents()] == [True]
    assert yard.pool.release(handle_of("a")) == MODEL_BYTES
    yard.pool.pin(handle_of("c"))
    yard.use("c")
    yard.pool.unpin(handle_of("c"))
    yard.use("d")
    assert yard.places() == {"c": "cpu", "d": GPU}


def test_models_are_reused_unless_they_are_to_be_freed_immediately() -> None:
    for free_immediately, loads in ((False, ["a"]), (True, ["a", "a"])):
        yard = Yard(free_immediately=free_immediately)
        yard.use("a")
        assert yard.pool.held_bytes == (0 if free_immediately else MODEL_BYTES)
        yard.use("a")
        assert yard.loaded == loads


def test_a_model_that_is_to_be_freed_immediately_stays_while_somebody_uses_it_or_pinned_it() -> None:
    yard = Yard(free_immediately=True)
    with yard.pool.lease(handle_of("a"), GPU) as outer:
        with yard.pool.lease(handle_of("a"), GPU) as inner:
            assert inner is outer
        assert yard.places() == {"a": GPU}
    assert yard.places() == {}
    yard.pool.pin(handle_of("b"))
    yard.use("b", "b")
    assert yard.loaded == ["a", "b"]


def test_a_run_hears_of_models_that_come_move_and_go() -> None:
    yard = Yard({GPU: MODEL_BYTES, "cpu": MODEL_BYTES})
    yard.use("a", "b", "a")
    yard.pool.release()
    assert yard.history() == ["loaded a", "loaded b", "offloaded a", "freed b", "returned a", "freed a"]
    assert {event.bytes for event in yard.told} == {MODEL_BYTES}


def test_the_report_of_a_run_has_what_its_nodes_made_the_pool_do(tiny: Checkpoint) -> None:
    context = RecordingContext()
    pool = ModelPool()
    with running(context), pool.lease(tiny.vae):
        pass
    pool.release()
    told = [entry for entry in context.told if entry["what"] != "loading"]
    assert [(entry["type"], entry["what"], entry["model"]) for entry in told] == [
        ("model", "loaded", "synthetic:sd15-tiny/vae")
    ]
    assert told[0]["bytes"] > 0
    assert told[0]["elapsed_s"] > 0


def test_vacating_a_device_sends_off_what_nobody_uses() -> None:
    yard = Yard()
    with yard.pool.lease(handle_of("used"), GPU):
        yard.use("a", "b")
        yard.pool.pin(handle_of("b"))
        assert yard.pool.vacate(GPU) == MODEL_BYTES
    assert yard.places() == {"used": GPU, "a": "cpu", "b": GPU}


def test_whoever_comes_for_a_model_on_its_way_out_waits_for_it() -> None:
    leaving, come = threading.Event(), threading.Event()

    class Slow(Yard):
        def _move(self, model: Any, device: str) -> None:
            super()._move(model, device)
            if device == "cpu":
                leaving.set()
                assert come.wait(timeout=20)

    yard = Slow({GPU: MODEL_BYTES})
    yard.use("a")

    def again() -> None:
        assert leaving.wait(timeout=20)
        with ThreadPoolExecutor(1) as helper:
            done = helper.submit(yard.use, "a")
            come.set()
            done.result(timeout=20)

    with ThreadPoolExecutor(2) as threads:
        for job in (threads.submit(yard.use, "b"), threads.submit(again)):
            job.result(timeout=30)
    assert yard.loaded == ["a", "b"]
    assert yard.places()["a"] == GPU


@given(
    gpu=st.integers(0, 3),
    cpu=st.integers(0, 3),
    steps=st.lists(st.sampled_from("abcdeA"), max_size=30),
)
def test_any_order_of_uses_keeps_every_budget_and_loads_nothing_that_is_in_memory(
    gpu: int, cpu: int, steps: list[str]
) -> None:
    yard = Yard({GPU: gpu * MODEL_BYTES, "cpu": cpu * MODEL_BYTES})
    for name in steps:
        known = yard.places().get(name.lower())
        count = len(yard.loaded)
        yard.pool.release(handle_of("a")) if name == "A" else yard.use(name)
        assert yard.pool.bytes_on(GPU) <= gpu * MODEL_BYTES
        assert yard.pool.bytes_on("cpu") <= cpu * MODEL_BYTES
        if name != "A":
            assert len(yard.loaded) == count + (known is None)


def test_the_bytes_of_a_model_are_known_before_it_is_loaded(tiny: Checkpoint) -> None:
    for handle in (tiny.denoiser, tiny.text_encoder, tiny.vae):
        expected, found = weights_bytes(handle), model_bytes(load_model(handle))
        assert expected is not None
        assert expected <= found <= expected + 1000
    assert weights_bytes(handle_of("nowhere")) is None


def test_room_is_made_before_a_model_is_loaded(tiny: Checkpoint) -> None:
    held: list[int] = []

    def load(handle: Any, device: str) -> Any:
        held.append(pool.bytes_on(GPU))
        return load_model(handle)

    budget = max(weights_bytes(handle) or 0 for handle in (tiny.denoiser, tiny.vae)) + 1000
    pool = ModelPool({GPU: budget}, load, move=lambda model, device: None)
    for handle in (tiny.denoiser, tiny.vae, tiny.denoiser, tiny.text_encoder):
        with pool.lease(handle, GPU):
            assert pool.bytes_on(GPU) <= budget
    assert held == [0, 0, 0]


def watched(model: Any) -> list[weakref.ref[Any]]:
    """Every module and every tensor of a model."""
    modules = [part for module in modules_of(model) for part in module.modules()]
    return [weakref.ref(part) for module in modules for part in (module, *module.parameters(recurse=False))]


@pytest.mark.parametrize("free_immediately", [False, True])
def test_no_model_object_survives_its_release(tiny: Checkpoint, free_immediately: bool) -> None:
    pool = ModelPool(free_immediately=free_immediately)
    alive: list[weakref.ref[Any]] = []
    for handle in (tiny.denoiser, tiny.text_encoder, tiny.vae):
        with pool.lease(handle) as model:
            alive += watched(model)
        del model
    pool.release()
    gc.collect()
    assert len(alive) > 100
    assert [found for found in alive if found() is not None] == []
    assert pool.held_bytes == 0


def test_another_autoencoder_and_back_restores_the_first_and_frees_the_other(tiny: Checkpoint) -> None:
    other: VaeHandle | None = tiny.denoiser.preview
    assert other is not None
    pool = ModelPool()
    with pool.lease(tiny.vae) as model:
        before, held = bits(model), pool.held_bytes
    with pool.lease(other) as model:
        assert pool.held_bytes > held
        gone = weakref.ref(model)
        del model
    pool.release(other)
    gc.collect()
    assert gone() is None
    with pool.lease(tiny.vae) as model:
        assert bits(model) == before
    assert (pool.held_bytes, pool.load_count) == (held, 2)
