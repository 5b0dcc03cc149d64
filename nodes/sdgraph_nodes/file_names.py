"""File names from what people type: safe on every system, and never outside the folder."""

from __future__ import annotations

import re

MAX_BYTES = 150
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_stem(text: str, suffixes: tuple[str, ...] = ()) -> str:
    """`text` as a file name without ending.

    Separators and characters that some system forbids become "_", leading and trailing dots and spaces go, and so does
    one of `suffixes` at the end. Names that Windows reserves get a "_" in front, and an empty one becomes "image".
    """
    stem = _UNSAFE.sub("_", text)
    for suffix in suffixes:
        if stem.lower().endswith(suffix):
            stem = stem[: -len(suffix)]
            break
    stem = stem.encode("utf-8", "replace")[:MAX_BYTES].decode("utf-8", "ignore").strip(" .")
    if _RESERVED.fullmatch(stem):
        stem = f"_{stem}"
    return stem or "image"
