"""Model references, and the folders that they mean.

    builtin:shapes[/part]              ships with the package
    synthetic:sd15-tiny[/part]         a real architecture with seeded random weights, made at first use
    hf:org/name[@revision][/part]      the Hugging Face hub, through its cache
    anything else                      a diffusers folder, or a single file of weights

`part` is a folder or a file inside, for example `builtin:shapes/controlnet_canny`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sdgraph.errors import ModelError
from sdgraph.payloads.places import may_download, model_path

SourceKind = Literal["builtin", "synthetic", "hf", "path"]

_ASSETS = Path(__file__).parent.parent / "assets"
_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?(/(?P<part>.+))?")
_HUB_FILES = [
    *("*.json", "*.txt", "*.model", "*/*.safetensors"),
    # At the top only a part that is a repository of its own; checkpoints in one file lie there too.
    *("diffusion_pytorch_model*.safetensors", "model*.safetensors"),
]
_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
_HUB_NOT = ["safety_checker/*", "feature_extractor/*", "*.fp16.safetensors", "*.non_ema.safetensors", "*.bin"]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model reference taken apart."""

    kind: SourceKind
    name: str
    """"shapes", "sd15-tiny", "org/name", or the path."""
    part: str = ""
    """A folder inside the model; "" is the model itself."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""


def parse_source(text: str) -> ModelSource:
    """Take a reference apart. Raises ModelError [model-source] when it can't be one."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "hf":
        found = _HUB.fullmatch(rest)
        if found is None or _leads_out(found["part"] or ""):
            raise _bad_source(text, "Write `hf:org/name` or `hf:org/name@revision`.")
        return ModelSource("hf", found["name"], found["part"] or "", found["revision"])
    if colon and scheme in ("builtin", "synthetic"):
        name, _, part = rest.partition("/")
        if not re.fullmatch(r"[\w-]+", name) or _leads_out(part):
            raise _bad_source(text, f"Write `{scheme}:NAME` or `{scheme}:NAME/PART`.")
        return ModelSource("builtin" if scheme == "builtin" else "synthetic", name, part)
    if not text.strip() or "\0" in text:
        raise _bad_source(text, "Write `builtin:shapes`, a folder, or `hf:org/name`.")
    return ModelSource("path", text)


def _leads_out(part: str) -> bool:
    """Whether a part is no place inside the model."""
    return ".." in part.split("/") or part.startswith("/") or "\0" in part


def resolve(text: str) -> Path:
    """The local folder that a reference means.

    A synthetic model is made at first use and a hub model downloaded. Raises ModelError: [model-source] no reference;
    [model-missing] nothing there; [model-kind-unsupported] a file, or an unknown synthetic model; [model-offline] a hub
    model that is not in the cache and can't be downloaded.
    """
    folder = locate(text)
    if folder.is_file():
        raise ModelError(
            "model-kind-unsupported",
            f"`{text}` is a single file, expected a folder in the diffusers layout.",
            "Give the folder.",
        )
    return folder


def locate(text: str) -> Path:
    """The local folder or file that a reference means. Raises ModelError as `resolve` does, and takes files too."""
    source = parse_source(text)
    match source.kind:
        case "builtin":
            root = _ASSETS / source.name
            hint = f"Built-in models: {', '.join(_builtin_names()) or 'none'}."
        case "synthetic":
            from sdgraph.models.synthetic import synthetic_folder

            root, hint = synthetic_folder(source.name), "Leave the part out to use the whole model."
        case "hf":
            root, hint = _hub_folder(source), "Check the part's name on the hub."
        case "path":
            root, hint = (
                model_path(source.name),
                "Check the path; a relative one counts from where sdgraph runs.",
            )
    place = root / source.part
    if not place.exists():
        raise ModelError("model-missing", f"There is no model `{text}`: no folder or file {place}.", hint)
    return place


def builtin_folders() -> list[Path]:
    """The folders of the models that ship; `builtin:` and the folder's name is their reference."""
    return sorted(index.parent for index in _ASSETS.glob("*/model_index.json"))


def _builtin_names() -> list[str]:
    return [f"`builtin:{folder.name}`" for folder in builtin_folders()]


def _hub_folder(source: ModelSource) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    one_file = Path(source.part).suffix in _FILES

    def snapshot(*, local: bool) -> Path:
        return Path(
            snapshot_download(
                source.name,
                revision=source.revision,
                allow_patterns=[source.part] if one_file else _HUB_FILES,
                ignore_patterns=None if one_file else _HUB_NOT,
                local_files_only=local,
            )
        )

    try:
        found = snapshot(local=True)
        if not one_file or (found / source.part).is_file():
            return found
    except LocalEntryNotFoundError:
        pass
    if not may_download():
        raise _not_downloaded(source)
    try:
        return snapshot(local=False)
    except HfHubHTTPError as error:
        if error.response.status_code in (401, 403, 404):
            raise ModelError(
                "model-missing",
                f"The hub has no model `{source.name}` that may be read (HTTP {error.response.status_code}).",
                "Check its name; a gated model needs `hf auth login`.",
            ) from error
        raise _offline(source) from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise _offline(source) from error


def _offline(source: ModelSource) -> ModelError:
    return ModelError(
        "model-offline",
        f"`hf:{source.name}` is not in the hub's local cache, and the hub can't be reached.",
        f"Go online once, or copy the model here and give its folder; `hf download {source.name}` fills the cache.",
    )


def _not_downloaded(source: ModelSource) -> ModelError:
    message = f"`hf:{source.name}` is not in the hub's local cache, and workflows may not download models here."
    hint = f"Who runs the server can fetch it with `hf download {source.name}`, or set SDGRAPH_SERVER_DOWNLOADS."
    return ModelError("model-not-downloaded", message, hint)


def _bad_source(text: str, hint: str) -> ModelError:
    return ModelError("model-source", f"{text!r} is no model reference.", hint)
