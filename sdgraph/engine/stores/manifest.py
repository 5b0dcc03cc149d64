"""A result as bytes: a JSON manifest, and one object of tensors for each output that has some."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from sdgraph.core.porttype import Blob, Encoded
from sdgraph.engine.stores.base import Payloads, Provenance, Result


def take_apart(
    result: Result, payloads: Payloads, write: Callable[[Mapping[str, Blob]], tuple[str, str]]
) -> dict[str, Any] | None:
    """The manifest of a result; `write` keeps an output's tensors, and gives their name and a digest to check them by.

    None if it can't leave memory.
    """
    outputs: dict[str, Any] = {}
    for name, value in result.outputs.items():
        parts = payloads.encode(value)
        if parts is None:
            return None
        type_name, encoded = parts
        outputs[name] = {"type": type_name, "meta": encoded.meta}
        if encoded.blobs:
            outputs[name]["object"], outputs[name]["check"] = write(encoded.blobs)
    manifest = {
        "outputs": outputs,
        "elapsed_s": result.elapsed_s,
        "node_type": result.node_type,
        "node_version": result.node_version,
    }
    if result.digests is not None:
        manifest["digests"] = dict(result.digests)
    return manifest if result.made is None else {**manifest, "made": result.made.to_json()}


def put_together(manifest: Any, payloads: Payloads, read: Callable[[str, str | None], Mapping[str, Blob]]) -> Result:
    """The result of a manifest; `read` gets the name of an output's tensors and the digest to check them by, if known.

    Raises whatever damage leads to: codecs read what they are given.
    """
    outputs: dict[str, Any] = {}
    for name, part in manifest["outputs"].items():
        blobs = read(part["object"], part.get("check")) if "object" in part else {}
        outputs[name] = payloads.decode(part["type"], Encoded(part["meta"], blobs))
    made = Provenance.from_json(manifest.get("made"))
    elapsed_s, node_type, version = manifest["elapsed_s"], manifest["node_type"], manifest["node_version"]
    return Result(outputs, elapsed_s, node_type, version, made, _digests(manifest))


def read_digests(manifest: str | bytes) -> Mapping[str, str] | None:
    """The digests of the outputs that a stored manifest has; None for a manifest without, or a damaged one."""
    try:
        return _digests(json.loads(manifest))
    except (ValueError, TypeError, AttributeError):
        return None


def _digests(manifest: Any) -> Mapping[str, str] | None:
    found = manifest.get("digests")
    if found is None:
        return None
    digests = cast("dict[str, str]", found)
    for digest in digests.values():
        bytes.fromhex(digest)
    return digests
