from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from sdgraph.errors import ModelError
from sdgraph.models import fingerprint
from sdgraph.models.checkpoint import checkpoint_fingerprint, controlnet_fingerprint, read_checkpoint
from sdgraph.models.fingerprint import file_digest
from sdgraph.models.weights import check_whole, weights_files


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def change_byte(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_copied_model_has_the_same_fingerprint(copy: Path) -> None:
    assert checkpoint_fingerprint(str(copy)) == checkpoint_fingerprint("synthetic:sd15-tiny")
    assert controlnet_fingerprint(str(copy / "controlnet_canny")) == controlnet_fingerprint(
        "synthetic:sd15-tiny/controlnet_canny"
    )


def test_one_changed_weight_changes_its_component_only(copy: Path) -> None:
    before = read_checkpoint(str(copy))
    change_byte(copy / "unet" / "diffusion_pytorch_model.safetensors", -1)
    after = read_checkpoint(str(copy))
    assert after.fingerprint != before.fingerprint
    assert after.denoiser.fingerprint != before.denoiser.fingerprint
    assert after.vae == before.vae
    assert after.text_encoder == before.text_encoder


def test_another_noise_schedule_is_another_model(copy: Path) -> None:
    before = checkpoint_fingerprint(str(copy))
    edit_json(copy / "scheduler" / "scheduler_config.json", beta_end=0.02)
    assert checkpoint_fingerprint(str(copy)) != before


def test_another_tokenizer_is_another_text_encoder(copy: Path) -> None:
    before = read_checkpoint(str(copy)).text_encoder.fingerprint
    (copy / "tokenizer" / "merges.txt").write_text("#version: 0.2\na b\n")
    assert read_checkpoint(str(copy)).text_encoder.fingerprint != before


def later(monkeypatch: pytest.MonkeyPatch, seconds: float = 10.0) -> None:
    """Let some time have passed since a test wrote its files."""
    now = time.time() + seconds
    monkeypatch.setattr(fingerprint.time, "time", lambda: now)


@pytest.mark.parametrize("by", ["this process", "another one"])
def test_a_known_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"content")
    later(monkeypatch)
    digest = file_digest(file)
    if by == "another one":
        fingerprint._known.clear()
    monkeypatch.setattr(fingerprint.hashlib, "file_digest", None)
    assert file_digest(file) == digest


def test_a_file_written_over_within_one_tick_of_its_times_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    times = fingerprint._identity(file)

    def coarse(path: Path) -> list[int]:
        """The times of a file system that ticks slowly."""
        return times

    monkeypatch.setattr(fingerprint, "_identity", coarse)
    before = file_digest(file)
    file.write_bytes(b"two")
    assert file_digest(file) != before
    later(monkeypatch)
    assert file_digest(file) != before


def test_a_replaced_file_of_the_same_size_and_time_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    stat = file.stat()
    before = file_digest(file)
    other = tmp_path / "other.bin"
    other.write_bytes(b"two")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(other, file)
    assert file_digest(file) != before


def test_a_home_that_cannot_be_written_only_costs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("a file where the home should be")
    monkeypatch.setenv("SDGRAPH_HOME", str(blocker))
    assert file_digest(blocker) == file_digest(blocker)


def test_a_spoilt_note_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDGRAPH_HOME", str(tmp_path / "home"))
    file = tmp_path / "weights.bin"
    file.write_bytes(b"content")
    later(monkeypatch)
    digest = file_digest(file)
    fingerprint._known.clear()
    for note in (tmp_path / "home" / "models" / "digests").iterdir():
        note.write_text("[")
    assert file_digest(file) == digest


def test_a_missing_file_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        file_digest(tmp_path / "nothing.safetensors")
    assert caught.value.code == "model-missing"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"short",
        (2**60).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{}" + b"more than the header says",
        (2).to_bytes(8, "little") + b"{{",
        (8).to_bytes(8, "little") + b'{"a":{}}',
    ],
)
def test_weights_that_are_not_whole_are_damaged(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(data)
    with pytest.raises(ModelError, match="is damaged") as caught:
        check_whole(file)
    assert caught.value.code == "model-damaged"


def test_a_truncated_model_is_found_before_the_run(copy: Path) -> None:
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="should have") as caught:
        checkpoint_fingerprint(str(copy))
    assert caught.value.code == "model-damaged"


def test_plain_weights_come_before_half_precision_ones(tmp_path: Path) -> None:
    for name in ("model.fp16.safetensors", "model.safetensors"):
        (tmp_path / name).touch()
    assert weights_files(tmp_path) == ([tmp_path / "model.safetensors"], None)


def test_half_precision_weights_will_do_when_there_are_no_others(tmp_path: Path) -> None:
    shards = [tmp_path / f"model.fp16-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for shard in shards:
        shard.touch()
    assert weights_files(tmp_path) == (shards, "fp16")


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "diffusion_pytorch_model.bin").touch()
    with pytest.raises(ModelError, match="pickle") as caught:
        weights_files(tmp_path)
    assert caught.value.code == "model-pickle"
    assert weights_files(tmp_path, allow_pickle=True) == ([tmp_path / "diffusion_pytorch_model.bin"], None)
