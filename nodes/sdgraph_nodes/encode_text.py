"""From a prompt to conditioning."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Link, Out, port
from sdgraph.core.workflow import Workflow
from sdgraph.models.facts import ConditioningFact
from sdgraph.models.pool import ModelPool
from sdgraph.models.present import require_part
from sdgraph.models.prompt import Normalize, Syntax
from sdgraph.models.prompt_join import join_part
from sdgraph.models.prompt_plan import Joining, PromptPlan, plan_prompt
from sdgraph.models.prompt_words import require_words
from sdgraph.models.text import encode_prompt
from sdgraph.models.towers import require_clip_skip
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.facts import is_settled
from sdgraph.payloads.handles import TextEncoderHandle
from sdgraph.payloads.step_window import StepWindow


class ConditioningOut(Outputs):
    """An encoded prompt."""

    conditioning: Out[Conditioning]
    """One vector per token."""


class JoinPrompt(Node[ConditioningOut], type="prompt.join", version=1):
    """Add one encoded text to a prompt of several: a text that applies for some steps, or one that is combined.

    A prompt with editing, alternation, AND or compel's operators expands into these, so that every text is encoded once
    and changing when it applies encodes nothing.
    """

    so_far: In[Conditioning | None] = port(None)
    """What was joined before."""
    part: In[Conditioning]
    """The encoded text."""
    joining: In[Joining] = port("add", linkable=False)
    """`add`: predictions are combined while sampling; `blend`: vectors are summed; `concat`: they follow each other."""
    factor: In[float] = port(1.0, linkable=False)
    """Weight of the text among the others."""
    windows: In[tuple[StepWindow, ...]] = port((), linkable=False)
    """Steps during which it applies; none: all."""

    def run(self, ctx: RunContext) -> ConditioningOut:
        joined = join_part(self.so_far, self.part, self.joining, self.factor, self.windows)
        return ConditioningOut(conditioning=joined)


class EncodeText(Node[ConditioningOut], type="sd.encode_text", version=1, lane="device"):
    """Encode a prompt: what the denoiser is asked to draw, or to stay away from."""

    text_encoder: In[TextEncoderHandle]
    """The text model of the checkpoint whose denoiser draws."""
    prompt: In[str] = port("", widget="multiline")
    """The words, with weights in the chosen syntax. Longer prompts than the model takes are encoded in chunks."""
    syntax: In[Syntax] = port("a1111")
    """How the prompt is written. `a1111`: (word:1.3), [from:to:0.5], [a|b], AND, BREAK; `comfy`: (word:1.3), where
    inner weights replace outer ones; `compel`: word++, (some words)0.8; `plain` takes every character as it is."""
    normalize: In[Normalize] = port("mean_per_prompt")
    """What happens to the embedding's mean when weights of `a1111` have changed it: restored, or left. The other
    syntaxes weigh in ways that need none."""
    clip_skip: In[int] = port(0, ge=0, le=11, unit="layers")
    """How many of the text model's last layers are left out."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        plan = self._plan()
        for text in plan.unread if plan else ():
            known.warn(
                "prompt-unread",
                f"No step reads `{text[:60]}`: it would begin at a share of 1 or more of the steps.",
                "Write (words:1.2) to weigh words; the number in [from:to:0.5] says when.",
                port="prompt",
            )
        encoder = known.get("text_encoder")
        if not isinstance(encoder, TextEncoderHandle):
            return {}
        require_part(encoder)
        if is_settled(self.clip_skip):
            require_clip_skip(encoder, self.clip_skip)
        if plan is not None:
            require_words(plan.texts, [word.name for word in encoder.embeddings], self.syntax)
        return {"conditioning": ConditioningFact.of(encoder)}

    def expand(self, inner: Workflow) -> ConditioningOut | None:
        plan = self._plan()
        return None if plan is None or plan.is_one_text else self._joined(plan, inner)

    def run(self, ctx: RunContext) -> ConditioningOut:
        with ctx.service(ModelPool).lease(self.text_encoder, ctx.device) as model:
            conditioning = encode_prompt(
                self.prompt, model, syntax=self.syntax, normalize=self.normalize, clip_skip=self.clip_skip
            )
        return ConditioningOut(conditioning=conditioning)

    def _plan(self) -> PromptPlan | None:
        """What the prompt is made of; None where it is known only while running."""
        if isinstance(self.prompt, Link) or isinstance(self.syntax, Link):
            return None
        return plan_prompt(self.prompt, self.syntax)

    def _joined(self, plan: PromptPlan, inner: Workflow) -> ConditioningOut:
        """One node for each text, and a chain that joins them."""
        encoded = {
            text: inner.add(f"text{number}", self.model_copy(update={"prompt": text})).out.conditioning
            for number, text in enumerate(plan.texts, start=1)
        }
        out: ConditioningOut | None = None
        parts = [(part.factor, variant) for part in plan.parts for variant in part.variants]
        for number, (factor, variant) in enumerate(parts, start=1):
            join = JoinPrompt(
                so_far=out.conditioning if out else None,
                part=encoded[variant.text],
                joining=plan.joining,
                factor=factor,
                windows=variant.windows,
            )
            out = inner.add(f"join{number}", join).out
        assert out is not None  # a plan has a part, and a part a variant
        return out
