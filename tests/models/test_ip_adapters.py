"""IP-Adapters give what diffusers' pipelines give, and leave the denoiser's attention exactly as it was."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers.image_processor import IPAdapterMaskProcessor
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.image_encoder import encode_images, read_image_encoder
from sdgraph.models.ip_adapter_file import read_ip_adapter
from sdgraph.models.network import open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.quiet import quiet
from sdgraph.models.source import resolve
from sdgraph.payloads.control import Control, IPAdapterBranch
from sdgraph.payloads.image import Image
from sdgraph.payloads.image_prompt import ImagePrompt
from sdgraph.payloads.mask import Mask
from tests.models.control_loop import difference, picture, prompts, reference, sample
from tests.models.family_references import TINY, pipeline

PIPELINES: dict[str, Any] = {"sd1": StableDiffusionPipeline, "sdxl": StableDiffusionXLPipeline}


def prompt(pool: ModelPool, adapter: Any, family: str, image: Image) -> ImagePrompt:
    encoder = read_image_encoder(f"{TINY[family]}/image_encoder")
    with pool.lease(encoder) as model:
        return encode_images(model, encoder, adapter, image)


def branch(
    pool: ModelPool, kind: str = "ip_adapter", family: str = "sd1", image: Image | None = None, **options: Any
) -> IPAdapterBranch:
    adapter = read_ip_adapter(f"{TINY[family]}/{kind}")
    return IPAdapterBranch(adapter, prompt(pool, adapter, family, image or picture()), **options)


def diffusers_parts(family: str, kinds: Sequence[str], strengths: Sequence[float]) -> dict[str, Any]:
    """The UNet with adapters as diffusers loads them, and the image encoder."""
    base, folder = pipeline(family), resolve(TINY[family])
    unet = copy.deepcopy(base.unet)
    encoder: Any = CLIPVisionModelWithProjection.from_pretrained(str(folder / "image_encoder"))
    own = PIPELINES[family](**{**base.components, "unet": unet})
    with quiet():
        names = [f"{kind}.safetensors" for kind in kinds]
        own.load_ip_adapter(str(folder), subfolder=list(kinds), weight_name=names, image_encoder_folder=None)
    own.set_ip_adapter_scale(list(strengths))
    extractor = CLIPImageProcessor(size=encoder.config.image_size, crop_size=encoder.config.image_size)
    return {"unet": unet, "image_encoder": encoder, "feature_extractor": extractor}


def pil(image: Image) -> list[PIL.Image.Image]:
    return [PIL.Image.fromarray(pixels) for pixels in image.to_uint8()]


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
@pytest.mark.parametrize("kind", ["ip_adapter", "ip_adapter_plus"])
def test_an_adapter_matches_diffusers(pool: ModelPool, family: str, kind: str) -> None:
    base = pipeline(family)
    found, _ = sample(pool, family, Control((branch(pool, kind, family, strength=0.7),)), base)
    parts = diffusers_parts(family, [kind], [0.7])
    expected = reference(PIPELINES[family], family, base, parts=parts, ip_adapter_image=[pil(picture())])
    assert difference(found, expected) <= 1e-4
    assert difference(sample(pool, family, None, base)[0], expected) > 1e-3


def test_two_adapters_of_two_kinds_match_one_of_them_with_two_pictures(pool: ModelPool) -> None:
    base, several = pipeline("sd1"), Image(np.concatenate([picture(6).pixels, picture(7).pixels]))
    one, two = branch(pool, strength=0.7), branch(pool, "ip_adapter_plus", image=several, strength=0.4)
    found, _ = sample(pool, "sd1", Control((one, two)), base)
    parts = diffusers_parts("sd1", ["ip_adapter", "ip_adapter_plus"], [0.7, 0.4])
    images = [pil(picture()), pil(several)]
    expected = reference(PIPELINES["sd1"], "sd1", base, parts=parts, ip_adapter_image=images)
    assert difference(found, expected) <= 1e-4


def test_a_mask_matches_diffusers(pool: ModelPool) -> None:
    base, values = pipeline("sd1"), np.zeros((1, 1, 64, 64), np.float32)
    values[..., :24] = 1
    found, _ = sample(pool, "sd1", Control((branch(pool, strength=0.7, mask=Mask(values)),)), base)
    masks = IPAdapterMaskProcessor().preprocess([PIL.Image.fromarray((values[0, 0] * 255).astype(np.uint8))])
    expected = reference(
        PIPELINES["sd1"],
        "sd1",
        base,
        parts=diffusers_parts("sd1", ["ip_adapter"], [0.7]),
        ip_adapter_image=[pil(picture())],
        cross_attention_kwargs={"ip_adapter_masks": [masks]},
    )
    assert difference(found, expected) <= 1e-4


def predict(
    pool: ModelPool, *branches: Any, batch: int = 1, timestep: float = 500.0, size: tuple[int, int] = (8, 8)
) -> torch.Tensor:
    x = torch.randn(batch, 4, *size, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    with open_network(pool, read_checkpoint(TINY["sd1"]).denoiser, Control(branches)) as network:
        return network(x, torch.full((len(x),), timestep), prompts("sd1"))


def test_a_strength_of_zero_is_off_and_loads_nothing(pool: ModelPool) -> None:
    one, own = branch(pool, strength=0.0), ModelPool()
    assert torch.equal(predict(own, one), predict(own))
    assert own.load_count == 1


def test_at_rest_it_changes_no_bit(pool: ModelPool) -> None:
    plain = {t: predict(pool, timestep=t) for t in (999.0, 500.0, 0.0)}
    one = branch(pool, start=0.25, end=0.75)
    gated = {t: predict(pool, one, timestep=t) for t in plain}
    assert [torch.equal(plain[t], gated[t]) for t in plain] == [True, False, True]


def test_an_empty_mask_changes_no_bit_and_a_full_one_is_none(pool: ModelPool) -> None:
    one = branch(pool)
    empty, full = (Mask(np.full((1, 1, 64, 64), value, np.float32)) for value in (0, 1))
    assert torch.equal(predict(pool, replace(one, mask=empty)), predict(pool))
    assert torch.allclose(predict(pool, replace(one, mask=full)), predict(pool, one), atol=1e-5)


def test_a_mask_follows_latents_of_any_shape(pool: ModelPool) -> None:
    """Each half changes most under its own mask, where 7x13 latents are halved with rounding."""
    plain = predict(pool, size=(7, 13))
    changes: list[torch.Tensor] = []
    for half in (slice(0, 48), slice(56, 104)):
        values = np.zeros((1, 1, 56, 104), np.float32)
        values[..., half] = 1
        masked = predict(pool, branch(pool, mask=Mask(values)), size=(7, 13))
        changes.append((masked - plain).abs().mean(dim=(0, 1, 2)))
    left, right = changes
    assert (left[:5] > right[:5]).all()
    assert (right[-5:] > left[-5:]).all()


def test_each_item_may_have_a_mask_of_its_own(pool: ModelPool) -> None:
    values = np.zeros((2, 1, 64, 64), np.float32)
    values[1] = 1
    both = predict(pool, branch(pool, mask=Mask(values)), batch=2)
    assert torch.allclose(both[[0, 2]], predict(pool, batch=2)[[0, 2]], atol=1e-5)
    assert torch.allclose(both[[1, 3]], predict(pool, branch(pool), batch=2)[[1, 3]], atol=1e-5)


def test_a_mask_of_another_size_or_batch_is_refused(pool: ModelPool) -> None:
    with pytest.raises(SamplingError, match="The mask is 32x32") as caught:
        predict(pool, branch(pool, mask=Mask(np.ones((1, 1, 32, 32), np.float32))))
    assert caught.value.code == "control-size"
    with pytest.raises(SamplingError) as caught:
        predict(pool, branch(pool, mask=Mask(np.ones((3, 1, 64, 64), np.float32))), batch=2)
    assert caught.value.code == "control-batch"


def fail(*_: Any) -> None:
    raise RuntimeError("on purpose")


def test_the_attention_is_as_it_was_also_after_an_error(pool: ModelPool) -> None:
    denoiser = read_checkpoint(TINY["sd1"]).denoiser
    with pool.lease(denoiser) as unet:
        before, names = dict(unet.attn_processors), [name for name, _ in unet.named_modules()]
    predict(pool, branch(pool))
    with pool.lease(denoiser) as unet:
        hook = unet.conv_out.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        predict(pool, branch(pool))
    hook.remove()
    with pool.lease(denoiser) as unet:
        after = unet.attn_processors
        assert all(after[name] is before[name] for name in before)
        assert [name for name, _ in unet.named_modules()] == names
        assert unet.encoder_hid_proj is None


def test_opening_an_adapter_draws_no_random_numbers(pool: ModelPool) -> None:
    one = branch(pool)
    predict(pool, one)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    predict(pool, one)
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_adapter_of_another_model_is_refused_before_anything_loads(pool: ModelPool) -> None:
    one, own = branch(pool, family="sdxl"), ModelPool()
    with pytest.raises(ModelError, match="80-wide conditioning, the denoiser has 32") as caught:
        predict(own, one)
    assert caught.value.code == "control-mismatch"
    assert own.load_count == 0


def test_an_image_prompt_for_another_adapter_is_refused(pool: ModelPool) -> None:
    plain, plus = branch(pool), branch(pool, "ip_adapter_plus")
    with pytest.raises(SamplingError, match="16 numbers per patches") as caught:
        predict(pool, replace(plus, prompt=plain.prompt))
    assert caught.value.code == "image-prompt"


def test_an_adapter_with_fewer_layers_is_refused(pool: ModelPool, tmp_path: Path) -> None:
    weights = load_file(resolve(f"{TINY['sd1']}/ip_adapter") / "ip_adapter.safetensors")
    path = tmp_path / "short.safetensors"
    save_file({name: value for name, value in weights.items() if not name.startswith("ip_adapter.1.")}, path)
    adapter = read_ip_adapter(str(path))
    with pytest.raises(ModelError, match="3 cross-attention layers, the denoiser has 4") as caught:
        predict(pool, replace(branch(pool), net=adapter))
    assert caught.value.code == "control-mismatch"


def test_an_encoder_that_does_not_fit_is_refused(pool: ModelPool, tmp_path: Path) -> None:
    folder = resolve(f"{TINY['sd1']}/image_encoder")
    encoder, adapter = read_image_encoder(str(folder)), read_ip_adapter(f"{TINY['sd1']}/ip_adapter")
    with pool.lease(encoder) as model, pytest.raises(ModelError, match="reads 24 numbers") as caught:
        encode_images(model, replace(encoder, width=1280), adapter, picture())
    assert caught.value.code == "image-encoder-mismatch"


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["image_proj.norm.weight", "image_proj.proj.0.weight", "ip_adapter.1.to_k_ip.weight"], "face adapter"),
        (["image_proj.proj.weight"], "no `ip_adapter` weights"),
        (["lora_unet.weight"], "no `image_proj` weights"),
    ],
)
def test_what_is_no_adapter_is_refused(tmp_path: Path, names: list[str], why: str) -> None:
    path = tmp_path / "other.safetensors"
    save_file({name: torch.zeros(4, 4) for name in names}, path)
    with pytest.raises(ModelError, match=why) as caught:
        read_ip_adapter(str(path))
    assert caught.value.code == "model-kind-unsupported"


def test_an_adapter_with_missing_weights_is_damaged(tmp_path: Path, pool: ModelPool) -> None:
    weights = load_file(resolve(f"{TINY['sd1']}/ip_adapter") / "ip_adapter.safetensors")
    path = tmp_path / "damaged.safetensors"
    save_file({name: value for name, value in weights.items() if name != "ip_adapter.1.to_v_ip.weight"}, path)
    with pytest.raises(ModelError) as caught, pool.lease(read_ip_adapter(str(path))):
        pass
    assert caught.value.code == "model-damaged"


def test_another_kind_of_model_is_no_image_encoder() -> None:
    with pytest.raises(ModelError, match="expected CLIPVisionModelWithProjection") as caught:
        read_image_encoder(f"{TINY['sd1']}/text_encoder")
    assert caught.value.code == "model-kind-unsupported"
