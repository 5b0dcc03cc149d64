from __future__ import annotations

import gc
import hashlib
import itertools
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.load import load_model
from sdgraph.models.patches import patched
from sdgraph.models.patches.lora import lora_fingerprint
from sdgraph.models.pool import ModelPool, model_bytes
from sdgraph.models.towers import TextModel
from sdgraph.payloads.handles import ControlNetHandle, DenoiserHandle, ModelHandle
from sdgraph.payloads.patch import Patch
from tests.models.loras import kohya, layers, write
from tests.models.reference import reference_pipeline

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


# Patches: one base in memory, brought to what each handle asks for.


@pytest.fixture(scope="module")
def lora_files(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Ten LoRAs: some for all layers of the denoiser and the text encoder, some for a few."""
    parts, folder = reference_pipeline(tiny_folder), tmp_path_factory.mktemp("loras")
    ends = ((), ("to_q", "to_v"), ("conv1", "proj_in"))
    files: list[Path] = []
    for number in range(10):
        chosen = layers(parts.unet, ends=ends[number % 3] or ("",))
        text = layers(parts.text_encoder, ends=("q_proj", "fc1"))
        tensors = kohya("lora_unet_", chosen, seed=number) | kohya("lora_te_text_model_", text, seed=number)
        files.append(write(folder / f"{number}.safetensors", tensors))
    return tuple(files)


def variant(handle: Any, *files: Path, strength: float = 1.0) -> Any:
    """The handle with LoRAs on it."""
    patches = tuple(
        Patch(source=str(path), fingerprint=lora_fingerprint(str(path)), strength=strength) for path in files
    )
    return replace(handle, patches=patches)


def bits(model: Any) -> bytes:
    """Every byte of a model's weights."""
    modules = model.modules if isinstance(model, TextModel) else (model,)
    found = [tensor.detach().reshape(-1).view(torch.uint8) for module in modules for tensor in module.parameters()]
    return hashlib.sha256(torch.cat(found).numpy().tobytes()).digest()


def leased_bits(pool: ModelPool, handle: Any) -> bytes:
    with pool.lease(handle) as model:
        return bits(model)


@lru_cache(maxsize=None)
def fresh_bits(handle: ModelHandle) -> bytes:
    """Of a model that never had other patches."""
    return leased_bits(ModelPool(), handle)


@pytest.fixture(scope="module")
def tiny_denoiser(tiny_folder: Path) -> DenoiserHandle:
    return read_checkpoint(str(tiny_folder)).denoiser


def test_ten_variants_of_a_model_hold_one_base(tiny: Checkpoint, lora_files: tuple[Path, ...]) -> None:
    pool = ModelPool()
    found = {leased_bits(pool, variant(tiny.denoiser, path)) for path in lora_files}
    assert len(found) == 10
    assert pool.load_count == 1
    with pool.lease(tiny.denoiser) as model:
        assert pool.held_bytes == model_bytes(model)
    assert pool.load_count == 1


def test_the_originals_of_patched_weights_count_as_memory(tiny: Checkpoint, lora_files: tuple[Path, ...]) -> None:
    pool = ModelPool()
    with pool.lease(tiny.denoiser) as model:
        plain, weights = pool.held_bytes, dict(model.named_parameters())
    with pool.lease(variant(tiny.denoiser, lora_files[1])):
        touched = sum(t.nbytes for n, t in weights.items() if n.endswith(("to_q.weight", "to_v.weight")))
        assert pool.held_bytes == plain + touched
    assert pool.release() == plain + touched


def test_fifty_switches_leave_no_bit_behind(tiny: Checkpoint, lora_files: tuple[Path, ...]) -> None:
    for handle in (tiny.denoiser, tiny.text_encoder, replace(tiny.denoiser, dtype="bfloat16")):
        pool = ModelPool()
        base, seen = leased_bits(pool, handle), {}
        for turn in range(50):
            chosen = (lora_files[turn % 7], lora_files[turn % 3])[: turn % 3]
            again = variant(handle, *chosen, strength=0.5 + turn % 2)
            key = tuple(patch.key for patch in again.patches)
            found = leased_bits(pool, again)
            assert seen.setdefault(key, found) == found
        assert leased_bits(pool, handle) == base
        assert pool.load_count == 1


@given(turns=st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_what_was_on_a_model_before_makes_no_difference(
    turns: list[list[int]], tiny_denoiser: DenoiserHandle, lora_files: tuple[Path, ...], pool: ModelPool
) -> None:
    for turn in turns:
        handle = variant(tiny_denoiser, *(lora_files[number] for number in turn))
        assert leased_bits(pool, handle) == fresh_bits(handle)


def test_threads_with_different_patches_each_find_their_own(tiny: Checkpoint, lora_files: tuple[Path, ...]) -> None:
    pool = ModelPool()
    handles = [tiny.denoiser, *(variant(tiny.denoiser, path) for path in lora_files[:5])]
    expected = [leased_bits(ModelPool(), handle) for handle in handles]
    start = threading.Barrier(4)

    def work(offset: int) -> None:
        start.wait(timeout=60)
        for turn in range(12):
            number = (turn * (offset + 1) + offset) % len(handles)
            with pool.lease(handles[number]) as model:
                assert bits(model) == expected[number]

    with ThreadPoolExecutor(4) as threads:
        for job in [threads.submit(work, offset) for offset in range(4)]:
            job.result(timeout=120)
    assert pool.load_count == 1
    assert leased_bits(pool, tiny.denoiser) == expected[0]


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("after", [0, 1, 7])
def test_an_interrupted_switch_leaves_the_base(
    tiny: Checkpoint,
    lora_files: tuple[Path, ...],
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    after: int,
) -> None:
    pool, calls = ModelPool(), itertools.count()
    base, first = leased_bits(pool, tiny.denoiser), variant(tiny.denoiser, lora_files[1])
    wanted = leased_bits(pool, first)
    true = patched.changed

    def failing(*arguments: Any) -> Any:
        if next(calls) == after:
            raise error
        return true(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(patched, "changed", failing)
        with pytest.raises(error), pool.lease(variant(tiny.denoiser, lora_files[0])):
            pass
    with pool.lease(tiny.denoiser) as model:
        assert bits(model) == base
        assert pool.held_bytes == model_bytes(model)
    assert leased_bits(pool, first) == wanted
    assert pool.load_count == 1


def test_a_patch_that_is_gone_fails_its_lease_and_no_other(
    tiny: Checkpoint, lora_files: tuple[Path, ...], tmp_path: Path
) -> None:
    pool = ModelPool()
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(lora_files[0].read_bytes())
    handle, good = variant(tiny.denoiser, moved), variant(tiny.denoiser, lora_files[1])
    wanted = leased_bits(pool, good)
    moved.unlink()
    with pytest.raises(ModelError, match="model-missing"), pool.lease(handle):
        pass
    assert leased_bits(pool, good) == wanted
    moved.write_bytes(lora_files[2].read_bytes())
    with pytest.raises(ModelError, match="model-changed"), pool.lease(handle):
        pass
    assert leased_bits(pool, good) == wanted


def test_a_thread_that_holds_a_model_gets_a_copy_for_other_patches(
    tiny: Checkpoint, lora_files: tuple[Path, ...]
) -> None:
    pool = ModelPool()
    handle = variant(tiny.denoiser, lora_files[0])
    with pool.lease(tiny.denoiser) as plain:
        before = bits(plain)
        with pool.lease(handle) as other, pool.lease(handle) as same:
            assert other is same is not plain
            assert bits(plain) == before != bits(other)
    assert pool.load_count == 2


def test_a_patched_model_leaves_as_its_base_and_comes_back_with_its_patches(
    tiny: Checkpoint, lora_files: tuple[Path, ...]
) -> None:
    moved: list[str] = []
    pool = ModelPool(
        {"cuda:0": 0}, lambda handle, device: load_model(handle), move=lambda model, device: moved.append(device)
    )
    plain = ModelPool()
    for handle in (variant(tiny.denoiser, lora_files[0]), variant(tiny.text_encoder, lora_files[1])):
        with plain.lease(handle) as model:
            wanted = bits(model)
        for _ in range(2):
            with pool.lease(handle, "cuda:0") as model:
                assert bits(model) == wanted
            assert pool.bytes_on("cpu") == pool.held_bytes
    assert moved == ["cpu", "cuda:0", "cpu"] * 2
    assert pool.load_count == 2
