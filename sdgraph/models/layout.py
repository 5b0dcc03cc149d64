"""Where the parts of a checkpoint are: the diffusers folder layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sdgraph.models.families import part_class
from sdgraph.models.fingerprint import fingerprint_files
from sdgraph.models.weights import damaged, read_config, weights_files


class Layout(Protocol):
    """What reading handles needs to know about a checkpoint, whatever way it is stored."""

    @property
    def configs(self) -> Path:
        """The folder of configurations, in the diffusers layout."""
        ...

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part. Raises ModelError [model-missing], [model-damaged]."""
        ...

    def has(self, part: str) -> bool:
        """Whether the checkpoint has weights for a part, for example "vae"."""
        ...

    def lacks(self, component: str, *more: str) -> str:
        """What is missing of a component and further parts, in words; "" when all is there."""
        ...

    def fingerprint(self, component: str, *more: str) -> str:
        """Digest of a component and of further parts. Raises ModelError [model-missing], [model-damaged]."""
        ...

    def scheduler(self) -> dict[str, Any]:
        """The scheduler's configuration."""
        ...


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """A diffusers folder."""

    configs: Path
    allow_pickle: bool = False

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part."""
        return read_config(self.configs / part / "config.json")

    def lacks(self, component: str, *more: str) -> str:
        """Nothing: what a folder lacks is an error when it is read."""
        del component, more
        return ""

    def has(self, part: str) -> bool:
        """Whether `model_index.json` names the part."""
        return part_class(read_config(self.configs / "model_index.json"), part) is not None

    def fingerprint(self, component: str, *more: str) -> str:
        """Digest of configuration files and weights. The weights of `component` must be there."""
        weights, _ = weights_files(self.configs / component, self.allow_pickle)
        for part in more:
            if not part.startswith("tokenizer"):
                weights = [*weights, *weights_files(self.configs / part, self.allow_pickle)[0]]
        small = [
            path
            for part in (component, *more)
            for path in (self.configs / part).glob("*")
            if path.suffix in (".json", ".txt", ".model")
        ]
        return fingerprint_files(self.configs, {*weights, *small})

    def scheduler(self) -> dict[str, Any]:
        """The scheduler's configuration."""
        return read_config(self.configs / "scheduler" / "scheduler_config.json")


def number(folder: Path, config: Mapping[str, Any], name: str) -> int:
    """A whole number above 0 of a configuration. Raises ModelError [model-damaged] for anything else."""
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise damaged(folder / "config.json", f"`{name}` is {value!r}, expected a whole number above 0")
    return value
