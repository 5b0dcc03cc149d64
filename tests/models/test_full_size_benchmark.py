"""The full-size models have the parameters that their makers publish."""

from __future__ import annotations

import json

import pytest

from benchmarks import full_size


def test_the_denoisers_have_the_published_number_of_parameters() -> None:
    counted = {
        name: sum(p.numel() for p in full_size.module_of(full_size.RECIPES[name], part).parameters())
        for name, part in (("sd15", "unet"), ("sdxl", "unet"), ("sd3", "transformer"), ("flux", "transformer"))
    }
    assert counted == {"sd15": 859_520_964, "sdxl": 2_567_463_684, "sd3": 2_028_328_000, "flux": 11_901_408_320}


def test_a_count_that_is_not_the_published_one_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(full_size, "NAMES", ("sd15",))
    assert full_size.main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)["parts"]
    assert [(row["part"], row["passed"]) for row in found] == [("unet", True), ("text_encoder", True), ("vae", True)]
    monkeypatch.setattr(full_size, "_VAE", 80e6)
    assert full_size.main([]) == 1
    assert "| `synthetic:sd15` | vae | AutoencoderKL | 83,653,863 | 80 M | 248 |" in capsys.readouterr().out
