"""`sdgraph export`: a workflow in another form."""

from __future__ import annotations

from pathlib import Path

import click

from sdgraph.cli.loading import read_source
from sdgraph.cli.options import file_argument
from sdgraph.cli.streams import out
from sdgraph.core.codegen import to_python
from sdgraph.core.registry import Registry
from sdgraph.payloads.picture_files import write_atomically
from sdgraph.settings import read_settings


@click.command
@file_argument
@click.option("--python", is_flag=True, help="As Python that builds the workflow.")
@click.option("-o", "--output", "target", metavar="FILE", type=click.Path(path_type=Path), help="Instead of stdout.")
def export(file: str, python: bool, target: Path | None) -> int:
    """Write a workflow in another form.

    FILE is a workflow (JSON, or a PNG that sdgraph wrote), or - for standard input.
    """
    if not python:
        raise click.UsageError("Say which form is wanted: --python.")
    text = to_python(read_source(file, read_settings().max_nodes).document, Registry.installed())
    if target is None:
        out(text.rstrip("\n"))
    else:
        write_atomically(target, text.encode())
        out(str(target))
    return 0
