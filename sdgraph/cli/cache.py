"""`sdgraph cache`: look after the results that are stored."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from pydantic import ByteSize, TypeAdapter, ValidationError

from sdgraph.cli.failure import FAILED
from sdgraph.cli.options import cache_option, help_if_alone, input_options, json_option
from sdgraph.cli.pins import keys_of
from sdgraph.cli.stores import results_folder
from sdgraph.cli.streams import nbytes_text, out, out_json, show_problems
from sdgraph.core.registry import Registry
from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Payloads
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.maintenance import EntryInfo
from sdgraph.errors import SettingsError
from sdgraph.settings import read_settings

_output_option = click.option(
    "--output", metavar="NAME", multiple=True, help="An output of the workflow FILE; its inputs as in `run`."
)


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
    if found.pinned:
        said += f", {found.pinned:,} pinned"
    if found.checkpoints:
        said += f", {found.checkpoints:,} interrupted nodes ({nbytes_text(found.checkpoint_bytes)})"
    data = {
        "folder": str(found.folder),
        "entries": found.entries,
        "objects": found.objects,
        "nbytes": found.nbytes,
        "pinned": found.pinned,
        "checkpoints": found.checkpoints,
    }
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
@click.argument("key")
@cache_option
@json_option
def show(key: str, cache: str | None, as_json: bool) -> int:
    """Show where a result came from: who computed it, when, how long that took, and from what.

    KEY is the key of a result, or as much of its beginning as no other one shares; `sdgraph plan FILE --json` and
    `sdgraph run FILE --json` have them.
    """
    with _open(cache) as store:
        found = store.show(store.key_from(key))
    return _tell(as_json, _entry_as_json(found), "\n".join(_entry_lines(found)))


@cache.command
@click.argument("what", metavar="KEY|FILE")
@_output_option
@input_options
@cache_option
@json_option
def pin(
    what: str,
    output: tuple[str, ...],
    given: tuple[str, ...],
    inputs_file: str | None,
    cache: str | None,
    as_json: bool,
) -> int:
    """Keep a result: no budget, `gc` or `clear` removes it until it is unpinned.

    Name it by its key, or by a workflow and its output.
    """
    with _open(cache) as store:
        found = keys_of(what, output, given, inputs_file, store, read_settings(cache=cache))
        for _, key in found:
            store.pin(key)
    return _tell_pins(as_json, found, True, [f"{name} is pinned" for name, _ in found])


@cache.command
@click.argument("what", metavar="KEY|FILE")
@_output_option
@input_options
@cache_option
@json_option
def unpin(
    what: str,
    output: tuple[str, ...],
    given: tuple[str, ...],
    inputs_file: str | None,
    cache: str | None,
    as_json: bool,
) -> int:
    """Let a pinned result go when room is needed."""
    with _open(cache) as store:
        found = keys_of(what, output, given, inputs_file, store, read_settings(cache=cache))
        said = {True: "is no longer pinned", False: "was not pinned"}
        lines = [f"{name} {said[store.unpin(key)]}" for name, key in found]
    return _tell_pins(as_json, found, False, lines)


@cache.command
@click.option("--pinned", is_flag=True, help="Remove the pinned ones too.")
@cache_option
@json_option
def clear(pinned: bool, cache: str | None, as_json: bool) -> int:
    """Remove all results that are not pinned."""
    with _open(cache) as store:
        removed = store.clear(pinned=pinned)
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


def _entry_as_json(found: EntryInfo) -> dict[str, Any]:
    return {
        "key": found.key.hex(),
        "node_type": found.node_type,
        "node_version": found.node_version,
        "outputs": dict(found.outputs),
        "elapsed_s": round(found.elapsed_s, 6),
        "nbytes": found.nbytes,
        "used_at": _time(found.used_at),
        "pinned": found.pinned,
        "made": None if found.made is None else {**found.made.to_json(), "finished_at": _time(found.made.finished_at)},
    }


def _entry_lines(found: EntryInfo) -> Iterator[str]:
    yield f"key       {found.key.hex()}{'  (pinned)' if found.pinned else ''}"
    yield f"node      {found.node_type}, version {found.node_version}"
    outputs = [f"{name} ({kind or 'value'})" for name, kind in found.outputs.items()]
    yield f"outputs   {', '.join(outputs)}"
    yield f"size      {nbytes_text(found.nbytes)}"
    yield f"computed  in {found.elapsed_s:.3f} s"
    if found.made is not None:
        maker = found.made.maker
        yield f"by        {maker.program} on {maker.device} of machine {maker.machine}"
        yield f"at        {_time(found.made.finished_at)}"
        for port, key, output in found.made.sources:
            yield f"from      {port}: {key.hex()}.{output}"
    yield f"used      {_time(found.used_at)}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _size(text: str) -> int:
    try:
        return TypeAdapter(ByteSize).validate_python(text)
    except ValidationError:
        message = f"--budget takes a size; found {text[:60]!r}."
        raise SettingsError("size-invalid", message, "For example 500MB or 10GB.") from None


def _tell_pins(as_json: bool, found: list[tuple[str, CacheKey]], pinned: bool, lines: list[str]) -> int:
    entries = [{"key": key.hex(), "pinned": pinned} for _, key in found]
    return _tell(as_json, entries[0] if len(entries) == 1 else {"results": entries}, "\n".join(lines))


def _tell(as_json: bool, data: dict[str, Any], text: str) -> int:
    if as_json:
        out_json(data)
    else:
        out(text)
    return 0
