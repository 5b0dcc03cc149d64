"""The safetensors format as bytes in memory: eight bytes of header length, a JSON header, the tensors end to end.

The library's own writer wants torch or numpy arrays; here are only blobs, and neither may be imported. A test reads
these files with the library.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

from sdgraph.core.porttype import Blob

_LENGTH = struct.Struct("<Q")


def pack_blobs(blobs: Mapping[str, Blob]) -> list[bytes | memoryview]:
    """The parts of a safetensors file, end to end; the tensors are not copied.

    Its header is padded so that the tensors start at a multiple of 64 bytes.
    """
    header: dict[str, object] = {}
    position = 0
    for name, blob in blobs.items():
        end = position + len(blob.data)
        header[name] = {"dtype": blob.dtype, "shape": list(blob.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + _LENGTH.size) % 64)
    return [_LENGTH.pack(len(text)), text, *(blob.data for blob in blobs.values())]


def unpack_blobs(content: bytes | memoryview) -> dict[str, Blob]:
    """The tensors of a file whose digest was checked; their data are views into `content`. Raises ValueError."""
    (length,) = _LENGTH.unpack_from(content)
    body = memoryview(content)[_LENGTH.size + length :]
    header = json.loads(bytes(content[_LENGTH.size : _LENGTH.size + length]))
    return {
        name: Blob(part["dtype"], tuple(part["shape"]), body[slice(*part["data_offsets"])])
        for name, part in header.items()
        if name != "__metadata__"
    }
