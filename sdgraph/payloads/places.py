"""Which files a workflow may name.

A workflow from one's own disk may name any. One that came to the server from elsewhere is confined: `serve` sets
SDGRAPH_CONFINED for itself and its workers, and then a model is a built-in or synthetic one, one of the hub, or lies in
a folder of SDGRAPH_MODEL_FOLDERS, and a picture is a built-in one or an upload. Everything that opens a file which a
workflow names asks here, so that no port of any node is forgotten.

An upload is `upload:DIGEST.png`: DIGEST is the SHA-256 of the file, which lies in the home folder at
`uploads/DI/DIGEST.png`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from platformdirs import user_cache_path

from sdgraph.errors import MediaError, ModelError

CONFINED = "SDGRAPH_CONFINED"
"""The environment variable that confines a process."""
UPLOAD = "upload:"
_UPLOADED = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,5}")


def home_folder() -> Path:
    """`$SDGRAPH_HOME`, or the user's cache folder. It may not exist yet."""
    home = os.environ.get("SDGRAPH_HOME")
    return Path(home).expanduser() if home else user_cache_path("sdgraph")


def is_confined() -> bool:
    """Whether workflows of this process come from elsewhere."""
    return os.environ.get(CONFINED, "").lower() in ("1", "true", "yes", "on")


def may_download() -> bool:
    """Whether a workflow may make models be downloaded."""
    allowed = os.environ.get("SDGRAPH_SERVER_DOWNLOADS", "").lower() in ("1", "true", "yes", "on")
    return allowed or not is_confined()


def model_folders() -> tuple[Path, ...]:
    """The folders in which models are found by their names."""
    listed = os.environ.get("SDGRAPH_MODEL_FOLDERS", "").split(os.pathsep)
    return tuple(Path(folder).expanduser() for folder in listed if folder.strip())


def model_path(name: str) -> Path:
    """Where a model that is a file or folder lies; it may not exist. Raises ModelError [model-outside].

    A relative name counts from where sdgraph runs, and then from each of the model folders.
    """
    within = [folder / name for folder in model_folders()]
    if not is_confined():
        path = Path(name).expanduser()
        return next((place for place in (path, *within) if place.exists()), path)
    for folder, place in zip(model_folders(), within, strict=True):
        if place.exists() and place.resolve().is_relative_to(folder.resolve()):
            return place
    raise ModelError(
        "model-outside",
        f"There is no model `{name}` in the server's model folders.",
        "Use `builtin:`, `hf:` or `synthetic:`, or ask who runs the server to add its folder to SDGRAPH_MODEL_FOLDERS.",
    )


def picture_path(file: str) -> Path:
    """Where a picture that is no built-in one lies; it may not exist.

    Raises MediaError [image-missing], [image-outside].
    """
    if file.strip() == "":
        hint = "Drop or upload one, or name one that ships, for example `builtin:pair.png`."
        raise MediaError("image-missing", "No picture is named.", hint, port="file")
    if file.startswith(UPLOAD):
        name = file.removeprefix(UPLOAD)
        path = home_folder() / "uploads" / name[:2] / name
        if not _UPLOADED.fullmatch(name) or path.is_symlink():
            raise MediaError("image-missing", f"There is no upload {file!r}.", "Upload the picture again.", port="file")
        return path
    if is_confined():
        hint = "Upload it, and use the reference that the answer gives."
        raise MediaError("image-outside", f"{file!r} is a file of the server, which is not read.", hint, port="file")
    return Path(file).expanduser()
