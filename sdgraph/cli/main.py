"""The command `sdgraph`: finds the command asked for, and turns whatever goes wrong into one message and an exit code.

Exit codes: 0 done; 1 failed or partial; 2 the workflow or the command is wrong; 130 cancelled.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from sdgraph import __version__
from sdgraph.cli.failure import report_failure
from sdgraph.cli.options import help_if_alone
from sdgraph.cli.signals import interrupt_on_sigterm

_COMMANDS = {
    "run": "Run a workflow and write its results.",
    "plan": "Show what a run would do, and why.",
    "warm": "Load the models that a run would need.",
    "check": "List everything that is wrong with workflows.",
    "nodes": "Show the node types, or one of them.",
    "serve": "Answer HTTP requests.",
    "cache": "Look after the stored results.",
    "export": "Write a workflow in another form.",
}


class _Commands(click.Group):
    """Commands that are imported when they are used: `sdgraph --help` needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        return getattr(import_module(f"sdgraph.cli.{cmd_name}"), cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Runs Stable Diffusion workflows, and recomputes only what changed.

    A workflow is a JSON file, a PNG that sdgraph wrote, or - for standard input.
    """
    help_if_alone(ctx)


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Errors are reported, never raised."""
    try:
        return int(cli.main(list(arguments), prog_name="sdgraph", standalone_mode=False) or 0)
    except (Exception, KeyboardInterrupt) as error:
        return report_failure(error, arguments)


def main() -> None:
    """Entry point of the `sdgraph` program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal can't show must not end a run
            stream.reconfigure(errors="backslashreplace")
    interrupt_on_sigterm()
    sys.exit(run_command(sys.argv[1:]))
