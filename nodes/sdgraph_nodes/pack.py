"""The built-in pack: every node type, port type and service that ships with sdgraph."""

from sdgraph.core.metering import Metering
from sdgraph.core.pack import NodePack
from sdgraph.core.recovery import Recovery
from sdgraph.models.memory.meter import MemoryMeter
from sdgraph.models.memory.recovery import MemoryRecovery
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.types import PORT_TYPES
from sdgraph_nodes.approximate_attention import LinearAttention, TopKAttention
from sdgraph_nodes.canny import Canny
from sdgraph_nodes.composite import Composite
from sdgraph_nodes.conditioning import (
    AverageConditioning,
    CombineConditioning,
    ConcatConditioning,
    ZeroConditioning,
)
from sdgraph_nodes.conditioning_limits import LimitToArea, LimitToMask, LimitToRange
from sdgraph_nodes.control import ApplyControl, LoadControlNet
from sdgraph_nodes.crop_stitch import CropToMask, Stitch
from sdgraph_nodes.distilled_guidance import SetDistilledGuidance
from sdgraph_nodes.embedding import TextEmbedding
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText, JoinPrompt
from sdgraph_nodes.grid import Grid, Join
from sdgraph_nodes.inpaint import InpaintLatents, RemoveMask, SetMask
from sdgraph_nodes.ip_adapter import ApplyIPAdapter, EncodeImagePrompt, LoadImageEncoder, LoadIPAdapter
from sdgraph_nodes.latents_batch import JoinLatents, PickLatents, RepeatLatents
from sdgraph_nodes.latents_shape import CompositeLatents, CropLatents, FlipLatents, RotateLatents, UpscaleLatents
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.load_image import LoadImage
from sdgraph_nodes.load_text_encoder import LoadTextEncoder
from sdgraph_nodes.load_vae import LoadVae
from sdgraph_nodes.lora import DenoiserLora, Lora
from sdgraph_nodes.mask_edits import CombineMasks, FeatherMask, GrowMask, InvertMask, MaskFromImage
from sdgraph_nodes.mask_shapes import DrawMask, GradientMask
from sdgraph_nodes.outpaint import PadForOutpainting
from sdgraph_nodes.picture_facts import SetPictureFacts
from sdgraph_nodes.preprocess import Preprocess
from sdgraph_nodes.preview import Preview
from sdgraph_nodes.prompt_lint import LintPrompt
from sdgraph_nodes.pruning import PruneChannels, PruneHeads
from sdgraph_nodes.resize import Resize
from sdgraph_nodes.safety import CheckSafety, LoadSafetyChecker
from sdgraph_nodes.sampler import Sampler, StagedSampler
from sdgraph_nodes.sampler_advanced import AdvancedSampler
from sdgraph_nodes.sampling import SampleFinish, SampleStage, SampleStart
from sdgraph_nodes.save_image import SaveImage
from sdgraph_nodes.shortcuts import MergeTokens, ReuseFeatures
from sdgraph_nodes.switch import Switch
from sdgraph_nodes.t2i_adapter import ApplyT2IAdapter, LoadT2IAdapter
from sdgraph_nodes.text_template import TextTemplate
from sdgraph_nodes.tile_upscale import TileUpscale
from sdgraph_nodes.upscale_with_model import LoadUpscaler, UpscaleWithModel
from sdgraph_nodes.vae import VaeDecode, VaeEncode
from sdgraph_nodes.values import BoolValue, FloatValue, IntValue, StringValue

PACK = NodePack(
    name="sdgraph",
    version="1",
    nodes=(
        LoadCheckpoint,
        LoadVae,
        Lora,
        DenoiserLora,
        MergeTokens,
        ReuseFeatures,
        TopKAttention,
        LinearAttention,
        PruneHeads,
        PruneChannels,
        TextEmbedding,
        LoadTextEncoder,
        SetPictureFacts,
        SetDistilledGuidance,
        EncodeText,
        JoinPrompt,
        LintPrompt,
        CombineConditioning,
        ConcatConditioning,
        AverageConditioning,
        LimitToArea,
        LimitToMask,
        LimitToRange,
        ZeroConditioning,
        EmptyLatents,
        Sampler,
        StagedSampler,
        AdvancedSampler,
        SampleStart,
        SampleStage,
        SampleFinish,
        VaeEncode,
        VaeDecode,
        LoadControlNet,
        Canny,
        Preprocess,
        ApplyControl,
        LoadT2IAdapter,
        ApplyT2IAdapter,
        LoadIPAdapter,
        LoadImageEncoder,
        EncodeImagePrompt,
        ApplyIPAdapter,
        LoadImage,
        SaveImage,
        Resize,
        Preview,
        Join,
        Grid,
        TileUpscale,
        LoadUpscaler,
        UpscaleWithModel,
        LoadSafetyChecker,
        CheckSafety,
        DrawMask,
        GradientMask,
        MaskFromImage,
        InvertMask,
        GrowMask,
        FeatherMask,
        CombineMasks,
        Composite,
        CropToMask,
        Stitch,
        PadForOutpainting,
        InpaintLatents,
        SetMask,
        RemoveMask,
        PickLatents,
        RepeatLatents,
        JoinLatents,
        UpscaleLatents,
        CropLatents,
        FlipLatents,
        RotateLatents,
        CompositeLatents,
        IntValue,
        FloatValue,
        StringValue,
        BoolValue,
        TextTemplate,
        Switch,
    ),
    port_types=PORT_TYPES,
    services={ModelPool: ModelPool, Recovery: MemoryRecovery, Metering: MemoryMeter},
)
