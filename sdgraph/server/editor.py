"""`GET /`: the browser editor, as `make web` built it into the package.

Files under `/assets/` have a digest of their content in their names, so browsers keep them for good; the page that
names them is asked for each time. Off loopback a browser first opens `/?token=TOKEN`: the token becomes a cookie that
opens the editor's files and nothing else, and the page gets it in the fragment of its address, which no browser sends.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from sdgraph.errors import SdgraphError
from sdgraph.server.guard import COOKIE

BUILT = Path(__file__).parents[1] / "assets" / "web"
"""Where `make web` puts the editor; wheels contain it."""

_ASSET = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,150}")
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_FOR_GOOD = "public, max-age=31536000, immutable"
_MISSING = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>sdgraph: the editor is not built</title>
<h1>The editor is not built</h1>
<p>This sdgraph runs from its source. Build the editor once, with Node.js 20.19 or newer:</p>
<pre>make web</pre>
<p>Then load this page again. The API works without it: <a href="/api/openapi.json">/api/openapi.json</a>.</p>
</html>
"""


def is_built() -> bool:
    """Whether there is an editor to show."""
    return (BUILT / "index.html").is_file()


def add_editor(app: web.Application) -> None:
    """Let the application show the editor."""
    folder = BUILT

    async def get_page(request: web.Request) -> web.StreamResponse:
        if "token" in request.query:
            return _with_cookie(request.query["token"])
        if not (folder / "index.html").is_file():
            return web.Response(text=_MISSING, status=503, content_type="text/html")
        return _file(folder / "index.html", "text/html", "no-cache")

    async def get_asset(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = folder / "assets" / name
        kind = _TYPES.get(path.suffix)
        if not _ASSET.fullmatch(name) or kind is None or path.is_symlink() or not path.is_file():
            message = f"The editor has no file {name[:100]!r}."
            raise SdgraphError("route-unknown", message, "Load the page again.")
        return _file(path, kind, _FOR_GOOD)

    app.router.add_get("/", get_page)
    app.router.add_get("/assets/{name}", get_asset)


def _file(path: Path, kind: str, keep: str) -> web.FileResponse:
    response = web.FileResponse(path, headers={"Cache-Control": keep})
    response.content_type = kind
    if kind.startswith("text/"):
        response.charset = "utf-8"
    return response


def _with_cookie(token: str) -> web.Response:
    """The guard has compared the token already; a wrong one never gets here."""
    response = web.Response(status=303, headers={"Location": f"/#token={quote(token, safe='')}"})
    response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", path="/")
    return response
