"""Settings: every one is a field here, an environment variable SDGRAPH_..., and a line of docs/guide/settings.md.

`python -m sdgraph.settings` prints that page. Settings change where things are kept and how fast a run is; what changes
the picture stands in the workflow.
"""

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path
from pydantic import ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from sdgraph.errors import SettingsError

_PREFIX = "SDGRAPH_"
_DEVICE = r"auto|cpu|mps|cuda(:\d{1,3})?"


class Settings(BaseSettings):
    """The settings of this process, read from the environment when made."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    home: Path | None = Field(
        None,
        description="Folder of everything that sdgraph keeps for itself: results, digests of model files, synthetic "
        "models. Without it that is the user's cache folder of the platform.",
    )
    cache: Literal["off"] | Path | None = Field(
        None,
        description="Folder of the result store, or `off` to keep nothing. Without it that is `results` in the home "
        "folder. The option `--cache` goes before it.",
    )
    memory_budget_bytes: ByteSize = Field(
        ByteSize(2 * 2**30), description="Memory for results during a run; the ones worth least are let go first."
    )
    remote: str | None = Field(
        None,
        description="Address of a store that several machines share, behind the one on disk: `s3://bucket/folder`, "
        "`gs://bucket/folder`, `file:///mnt/share`, or any other that fsspec knows.",
    )
    disk_budget_bytes: ByteSize = Field(
        ByteSize(20 * 10**9),
        description="What the result store may grow to; the results worth least are then removed. Pinned ones "
        "stay. Also what `sdgraph cache gc` leaves without `--budget`.",
    )
    database: str | None = Field(
        None,
        description="Where the server keeps its runs: `postgresql://user:password@host/name`, or `sqlite:///FILE`. "
        "Without it that is `server.db` in the home folder.",
    )
    models_budget_bytes: ByteSize | None = Field(
        None,
        description="What model weights may take on the device where they run. Models that nobody uses leave it, least "
        "recently used first, when another one needs the room. Without it there is no limit.",
    )
    models_cpu_budget_bytes: ByteSize | None = Field(
        None,
        description="The same for the processor's memory, where models wait that had to leave their device. Without it "
        "that is `SDGRAPH_MODELS_BUDGET_BYTES`.",
    )
    models_offload: bool = Field(
        True,
        description="Whether models that have to leave a device wait in the processor's memory, from where they come "
        "back by a transfer; `false` frees them.",
    )
    free_immediately: bool = Field(
        False,
        description="Free the memory of models as soon as no node uses them. Without it they stay for their next use "
        "(context reuse).",
    )
    pinned_models: str = Field(
        "",
        description="Model references, separated by commas, whose models stay once they are loaded, whatever the "
        "budgets say.",
    )
    device_memory_bytes: ByteSize | None = Field(
        None,
        description="What a run may take of its device's memory, weights and all: `sdgraph plan` warns when it expects "
        "more. Without it that is what the device has.",
    )
    memory_remedies: Literal["all", "exact", "off"] = Field(
        "all",
        description="What is done when a device's memory runs out: `all` remedies one after another, only `exact` "
        "ones, whose results are stored like any other, or none (`off`).",
    )
    device: str = Field(
        "auto",
        pattern=rf"^({_DEVICE})$",
        description="Where models run: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` for the fastest one that is there. "
        "The option `--device` goes before it.",
    )
    text_device: str | None = Field(
        None,
        pattern=rf"^({_DEVICE})$",
        description="Where text encoders run, if not where everything else does: with `cpu`, the device's memory is "
        "left to the model that draws.",
    )
    attention: Literal["auto", "sdpa", "math", "sliced", "xformers"] = Field(
        "auto",
        description="How denoisers compute attention: `auto` and `sdpa` leave it to PyTorch, `math` is plain matrix "
        "products, `sliced` these in slices, for the least memory, and `xformers` that package, on CUDA.",
    )
    compile: Literal["off", "blocks"] = Field(
        "off",
        description="Whether the transformer blocks of denoisers are compiled by torch.compile (`blocks`): a step is "
        "then faster, and the first one of each size takes many seconds more. `sdgraph warm` compiles ahead.",
    )
    cpu_threads: int | None = Field(
        None, ge=1, le=1024, description="Nodes that compute on the processor at once. Without it one for each core."
    )
    worker_silence_s: float = Field(
        60.0, gt=0, description="Seconds without a sign of life after which `serve` ends a worker process."
    )
    worker_cancel_s: float = Field(
        30.0,
        gt=0,
        description="Seconds that a cancelled run may take to stop before `serve` ends its worker; the loading of a "
        "model can't be interrupted in another way.",
    )
    run_silence_s: float | None = Field(
        None,
        gt=0,
        description="Seconds without any event after which `serve` takes a run to hang and ends its worker. Without it "
        "there is no limit.",
    )
    queue_limit: int = Field(1000, ge=1, description="Runs that may wait in the queue of `serve`.")
    history_runs: int | None = Field(
        10_000, ge=0, description="Ended runs that `serve` remembers; their pictures stay where they are."
    )
    history_days: float | None = Field(None, gt=0, description="Days for which `serve` remembers them.")
    model_folders: str = Field(
        "",
        description="Folders in which models are found by their names, with `:` between them (`;` on Windows). "
        "Workflows that are sent to `serve` can use no other files.",
    )
    server_downloads: bool = Field(
        False, description="Whether workflows that are sent to `serve` may make models of the hub be downloaded."
    )
    checkpoint_every_steps: int = Field(
        0,
        ge=0,
        description="After how many steps samplers write down how far they are, so that an interrupted run goes on "
        "there; 0: not at all. Finished stages of a sampler are stored in any case. When enlarging in tiles, each tile "
        "counts as a step.",
    )
    upload_limit_bytes: ByteSize = Field(
        ByteSize(64 * 2**20), description="Size of the largest picture that can be uploaded to `serve`."
    )
    uploads_budget_bytes: ByteSize = Field(
        ByteSize(10 * 10**9),
        description="What all uploads to `serve` may take; those used the longest ago are then removed, but none that "
        "a run that is not done, a pinned run or a saved workflow needs.",
    )
    pictures_budget_bytes: ByteSize = Field(
        ByteSize(50 * 10**9),
        description="What the pictures of runs of `serve` may take, with their thumbnails; those seen the longest ago "
        "are then removed, but none of pinned runs.",
    )
    previews_budget_bytes: ByteSize = Field(
        ByteSize(10**9),
        description="What the thumbnails of what nodes gave may take; those seen the longest ago are then removed, and "
        "made again when somebody looks.",
    )
    safety_checker: str = Field(
        "",
        description="A safety checker that looks at every picture before it leaves a run, whatever the workflow says: "
        "a folder `safety_checker`, a model that has one, or `hf:org/name`. What it finds is black in files and "
        "thumbnails; stored results stay as they are. Without it no picture is looked at.",
    )
    max_nodes: int = Field(50_000, ge=1, description="Nodes that a workflow may have, subgraphs unfolded.")
    log_format: Literal["text", "json"] = Field(
        "text",
        description="How `serve` and its workers write their log on standard error: `text` for people, or `json` for "
        "programs, one object a line with the run's id.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What `serve` and its workers log: this, and what is worse."
    )
    traces: str | None = Field(
        None,
        description="Address of an OpenTelemetry collector (OTLP over HTTP) to which `serve` sends a span for each run "
        "and each node, such as `http://localhost:4318/v1/traces`. Needs `sdgraph[otel]`.",
    )
    debug: bool = Field(False, description="Show the traceback of an error in sdgraph itself.")

    @cached_property
    def home_folder(self) -> Path:
        """The home folder; it may not exist yet."""
        return self.home.expanduser() if self.home else user_cache_path("sdgraph")

    @property
    def shown_folder(self) -> Path:
        """Where pictures lie that may be shown: one folder for each safety checker, so that nothing is given out that
        another one, or none, has let through."""
        if not self.safety_checker:
            return self.home_folder
        return self.home_folder / "screened" / hashlib.sha256(self.safety_checker.encode()).hexdigest()[:16]

    @property
    def pictures_folder(self) -> Path:
        """Where workers keep the pictures of finished runs."""
        return self.shown_folder / "pictures"

    @property
    def previews_folder(self) -> Path:
        """Where workers keep thumbnails of what nodes gave."""
        return self.shown_folder / "previews"

    @property
    def uploads_folder(self) -> Path:
        """Where `serve` keeps the pictures that were uploaded."""
        return self.home_folder / "uploads"

    def environment(self) -> dict[str, str]:
        """The same settings as environment variables, for another process."""
        found = self.model_dump(mode="json", exclude_none=True)
        texts = {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in found.items()}
        return {_PREFIX + name.upper(): text for name, text in texts.items()}

    @property
    def results_folder(self) -> Path | None:
        """The folder of the result store; None when nothing is to be kept."""
        if self.cache == "off":
            return None
        return self.cache.expanduser() if self.cache else self.home_folder / "results"


def read_settings(**overrides: object) -> Settings:
    """The settings from the environment; overrides that are None count as not given. Raises SettingsError."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        name = str(found["loc"][0])
        option = f"--{name}" if name in given else _PREFIX + name.upper()
        raise SettingsError(
            "setting-invalid",
            f"{option} can't be {str(found['input'])!r}: {found['msg'][:1].lower()}{found['msg'][1:]}.",
            Settings.model_fields[name].description,
        ) from None


def debugging() -> bool:
    """Whether SDGRAPH_DEBUG is set, also when some other setting is wrong."""
    return os.environ.get(_PREFIX + "DEBUG", "").lower() in ("1", "true", "yes", "on", "t", "y")


def settings_page() -> str:
    """The page docs/guide/settings.md."""
    lines = [
        "# Settings",
        "",
        "Settings change where things are kept and how fast a run is, never what is computed. Each is an environment",
        "variable. Sizes are bytes or text such as `500MB` or `20GiB`. This page is made by",
        "`python -m sdgraph.settings`.",
        "",
        "| Variable | Without it | Meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        shown = "" if field.default in (None, "") else f"`{_shown(field.default)}`"
        lines.append(f"| `{_PREFIX}{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, ByteSize):
        return value.human_readable(decimal=value % 10**9 == 0)
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    print(settings_page(), end="")
