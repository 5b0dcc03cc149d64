"""Commands about one workflow: the options that all of them take, and what is done before their own work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from sdgraph.cli.loading import Loaded, load
from sdgraph.cli.options import cache_option, device_option, file_argument, input_options, json_option
from sdgraph.cli.streams import show_problems
from sdgraph.core.registry import Registry
from sdgraph.settings import Settings, read_settings

Body = Callable[..., int]


@dataclass(frozen=True, slots=True)
class Asked:
    """A workflow that was read and checked, and what is asked about it."""

    loaded: Loaded
    settings: Settings
    registry: Registry
    only: Sequence[str] | None
    """The outputs that count; None: all."""
    as_json: bool


def workflow_command(verb: str, *, on_device: bool = True) -> Callable[[Body], click.Command]:
    """Make a command of a function whose first argument is what is `Asked`; it returns the exit code.

    `verb` says in the help what is done with the outputs that `--only` names. Without `on_device` the command uses no
    device and takes no `--device`. Options of its own are given below this one.
    """

    def decorate(body: Body) -> click.Command:
        @wraps(body)
        def command(
            file: str,
            given: tuple[str, ...],
            inputs_file: str | None,
            only: tuple[str, ...],
            cache: str | None,
            as_json: bool,
            device: str | None = None,
            **own: Any,
        ) -> int:
            settings = read_settings(cache=cache, device=device)
            registry = Registry.installed()
            loaded = load(file, given, inputs_file, registry, settings)
            show_problems(loaded.warnings)
            return body(Asked(loaded, settings, registry, only or None, as_json), **own)

        only_option = click.option("--only", metavar="OUTPUT", multiple=True, help=f"{verb}.")
        devices = [device_option] if on_device else []
        decorated: Any = command
        for option in (json_option, *devices, cache_option, only_option, input_options, file_argument):
            decorated = option(decorated)
        return click.command()(decorated)

    return decorate
