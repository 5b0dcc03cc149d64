"""Arguments and options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

file_argument = click.argument("file", metavar="FILE")
"""A workflow: JSON, a PNG that carries one, or - for standard input."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON object.")
cache_option = click.option("--cache", metavar="DIR|off", help="Folder of the result store; off keeps nothing.")
device_option = click.option("--device", metavar="D", help="Where models run: auto, cpu, cuda, cuda:1, mps.")


def help_if_alone(ctx: click.Context) -> None:
    """Show a group's help when none of its commands was asked for."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def input_options(command: F) -> F:
    """`-i NAME=VALUE` and `--inputs FILE`."""
    command = click.option("--inputs", "inputs_file", metavar="FILE", help="A JSON object of the inputs' values.")(
        command
    )
    return click.option("-i", "--input", "given", multiple=True, metavar="NAME=VALUE", help="Set an input.")(command)
