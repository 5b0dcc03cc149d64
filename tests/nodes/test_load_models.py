from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sdgraph_nodes.control import LoadControlNet
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.load_text_encoder import LoadTextEncoder
from sdgraph_nodes.load_vae import LoadVae
from sdgraph_nodes.pack import PACK

from sdgraph.core.build import build_graph
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.engine.plan import make_plan
from sdgraph.engine.stores.base import NullStore
from sdgraph.errors import WorkflowError
from tests.nodes.tiny_model import SOURCE, model
from tests.toys import RecordingContext


def test_loading_a_checkpoint_gives_handles_and_asks_for_no_weights() -> None:
    out: Any = LoadCheckpoint(source=SOURCE).run(RecordingContext())  # a context without a model pool
    assert (out.denoiser, out.text_encoder, out.vae) == (
        model().denoiser,
        model().text_encoder,
        model().vae,
    )


def test_the_number_type_is_part_of_the_handles_and_this_autoencoder_stays_exact() -> None:
    out: Any = LoadCheckpoint(source=SOURCE, dtype="bfloat16").run(RecordingContext())
    assert (out.denoiser.dtype, out.text_encoder.dtype, out.vae.dtype) == ("bfloat16", "bfloat16", "float32")
    assert out.denoiser.fingerprint == model().denoiser.fingerprint


def test_the_same_model_has_the_same_fingerprint_and_a_controlnet_one_of_its_own() -> None:
    digest = LoadCheckpoint(source=SOURCE).fingerprint()
    assert digest == LoadCheckpoint(source=SOURCE).fingerprint()
    assert digest != LoadControlNet(source=f"{SOURCE}/controlnet_canny").fingerprint()


def test_an_autoencoder_and_text_encoders_load_by_themselves() -> None:
    vae: Any = LoadVae(source=SOURCE).run(RecordingContext())
    texts: Any = LoadTextEncoder(source=SOURCE).run(RecordingContext())
    assert (vae.vae, texts.text_encoder) == (model().vae, model().text_encoder)
    other: Any = LoadVae(source=f"{SOURCE}/vae_tiny", space="sd1").run(RecordingContext())
    assert other.vae.space == model().vae.space
    digests = {
        LoadVae(source=SOURCE).fingerprint(),
        LoadVae(source=f"{SOURCE}/vae_tiny", space="sd1").fingerprint(),
        LoadTextEncoder(source=SOURCE).fingerprint(),
        LoadCheckpoint(source=SOURCE).fingerprint(),
    }
    assert len(digests) == 4


def test_what_the_denoiser_predicts_is_part_of_the_fingerprint() -> None:
    plain, other = LoadCheckpoint(source=SOURCE), LoadCheckpoint(source=SOURCE, prediction="v_prediction")
    assert plain.fingerprint() != other.fingerprint()
    out: Any = other.run(RecordingContext())
    assert out.denoiser.scheduler["prediction_type"] == "v_prediction"


def test_loading_a_checkpoint_imports_no_torch() -> None:
    model()  # so that the synthetic model is there
    script = (
        "import sys\n"
        "from sdgraph_nodes.load_checkpoint import LoadCheckpoint\n"
        f"node = LoadCheckpoint(source={SOURCE!r})\n"
        "node.fingerprint(), node.run(None)\n"
        "assert 'torch' not in sys.modules and 'diffusers' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("node", [LoadCheckpoint, LoadControlNet, LoadVae, LoadTextEncoder])
def test_a_missing_model_is_a_problem_of_the_plan(node: Any, tmp_path: Path) -> None:
    registry = Registry([PACK])
    wf = Workflow("missing")
    wf.add("model", node(source=str(tmp_path / "nowhere")))
    with pytest.raises(WorkflowError) as caught:
        make_plan(build_graph(wf, registry), NullStore())
    (problem,) = caught.value.problems
    assert (problem.code, problem.node) == ("model-missing", "model")
