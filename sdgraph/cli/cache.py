"""`sdgraph cache`: look after the results that are stored."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import click
from pydantic import ByteSize, TypeAdapter, ValidationError

from sdgraph.cli.failure import FAILED
from sdgraph.cli.options import cache_option, help_if_alone, json_option
from sdgraph.cli.stores import results_folder
from sdgraph.cli.streams import nbytes_text, out, out_json, show_problems
from sdgraph.core.registry import Registry
from sdgraph.engine.stores.base import Payloads
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.errors import SettingsError
from sdgraph.settings import read_settings


@click.group(invoke_without_command=True)
@click.pass_context
def cache(ctx: click.Context) -> None:
    """Look after the stored results. Losing one costs only the time to compute it again."""
    help_if_alone(ctx)


@cache.command
@cache_option
@json_option
def info(cache: str | None, as_json: bool) -> int:
    """Show where results are stored, how many, and their size."""
    with _open(cache) as store:
        found = store.info()
    said = f"{found.entries:,} results, {nbytes_text(found.nbytes)} in {found.objects:,} files"
    data = {"folder": str(found.folder), "entries": found.entries, "objects": found.objects, "nbytes": found.nbytes}
    return _tell(as_json, data, f"{found.folder}: {said}")


@cache.command
@click.option("--budget", metavar="SIZE", help="What may stay, for example 10GB. Without it SDGRAPH_DISK_BUDGET_BYTES.")
@cache_option
@json_option
def gc(budget: str | None, cache: str | None, as_json: bool) -> int:
    """Remove the results least worth keeping, until the rest fits a budget."""
    budget_bytes = _size(budget) if budget is not None else read_settings().disk_budget_bytes
    with _open(cache) as store:
        removed, freed = store.gc(budget_bytes)
    data = {"removed": removed, "freed_bytes": freed, "budget_bytes": int(budget_bytes)}
    return _tell(as_json, data, f"removed {removed:,} results, freed {nbytes_text(freed)}")


@cache.command
@cache_option
@json_option
def verify(cache: str | None, as_json: bool) -> int:
    """Read every result against its digests, and remove damaged ones. Exits 1 if there were any."""
    with _open(cache) as store:
        good, bad = store.verify()
        show_problems(store.take_problems())
    _tell(as_json, {"good": good, "damaged": bad}, f"{good:,} results are good, {bad:,} were damaged and are removed")
    return FAILED if bad else 0


@cache.command
@cache_option
@json_option
def clear(cache: str | None, as_json: bool) -> int:
    """Remove all results."""
    with _open(cache) as store:
        removed = store.clear()
    return _tell(as_json, {"removed": removed}, f"removed {removed:,} results")


@contextmanager
def _open(folder: str | None) -> Generator[DiskStore]:
    found = results_folder(read_settings(cache=folder))
    if folder is not None and not found.exists():
        raise SettingsError("store-missing", f"There is no result store {found}.", "Check the folder given to --cache.")
    registry = Registry.installed()
    store = DiskStore(found, Payloads(registry.port_types))
    try:
        yield store
    finally:
        store.close()


def _size(text: str) -> int:
    try:
        return TypeAdapter(ByteSize).validate_python(text)
    except ValidationError:
        message = f"--budget takes a size; found {text[:60]!r}."
        raise SettingsError("size-invalid", message, "For example 500MB or 10GB.") from None


def _tell(as_json: bool, data: dict[str, Any], text: str) -> int:
    if as_json:
        out_json(data)
    else:
        out(text)
    return 0
