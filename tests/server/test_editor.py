"""The editor's page and files: what browsers keep, what they are refused, and how they open it off loopback."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from sdgraph.server import editor
from sdgraph.server.guard import COOKIE
from tests.server.conftest import Reply, Running, serving

TOKEN = "correct horse"
PAGE = '<!doctype html><script type="module" src="/assets/index-1a.js"></script>'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An editor as `make web` leaves it."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(PAGE)
    (folder / "assets" / "index-1a.js").write_text("export {};\n")
    (folder / "assets" / "secret.txt").write_text("not of the editor")
    (folder / "secret.js").write_text("outside of the assets")
    (folder / "assets" / "link.js").symlink_to(folder / "secret.js")
    return folder


@pytest.fixture(scope="module")
def shown(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(editor, "BUILT", built)
        with serving(tmp_path_factory.mktemp("shown")) as running:
            yield running


@pytest.fixture(scope="module")
def public(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(editor, "BUILT", built)
        with serving(tmp_path_factory.mktemp("public"), host="0.0.0.0", token=TOKEN) as running:
            yield running


def test_the_page_is_asked_for_each_time_and_its_files_are_kept_for_good(shown: Running) -> None:
    page = shown.ask("GET", "/")
    assert (page.status, page.text, page.headers["cache-control"]) == (200, PAGE, "no-cache")
    script = shown.ask("GET", "/assets/index-1a.js")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"


def test_browsers_run_no_script_that_stands_in_the_page(shown: Running) -> None:
    policy = shown.ask("GET", "/").headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'self'"
    assert "script-src" not in rules
    assert (rules["object-src"], rules["frame-ancestors"]) == ("'none'", "'none'")


@pytest.mark.parametrize(
    "name",
    ["nothing.js", "secret.txt", "link.js", "..%2Fsecret.js", "..%5Csecret.js", "%2e%2e%2fsecret.js", "a%00.js", ".js"],
)
def test_nothing_but_the_editors_own_files_is_given(shown: Running, name: str) -> None:
    reply = shown.ask("GET", f"/assets/{name}")
    assert (reply.status, reply.codes) == (404, ["route-unknown"])


def test_without_a_built_editor_the_page_says_how_to_build_it(shown: Running, built: Path, tmp_path: Path) -> None:
    (built / "index.html").rename(tmp_path / "index.html")
    try:
        reply = shown.ask("GET", "/")
    finally:
        (tmp_path / "index.html").rename(built / "index.html")
    assert reply.status == 503
    assert "make web" in reply.text


def test_off_loopback_a_browser_opens_the_editor_by_its_token(public: Running) -> None:
    opened = public.ask("GET", "/?token=correct+horse")
    assert (opened.status, opened.headers["location"]) == (303, "/#token=correct%20horse")
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    kept = cookie.split(";")[0]
    assert public.ask("GET", "/", Cookie=kept).status == 200
    assert public.ask("GET", "/assets/index-1a.js", Cookie=kept).status == 200


def test_off_loopback_nothing_of_the_editor_is_shown_without_the_token(public: Running) -> None:
    def refused(path: str, **headers: str) -> Reply:
        reply = public.ask("GET", path, **headers)
        assert reply.status == 401, path
        return reply

    for path in ("/", "/?token=wrong", "/assets/index-1a.js", "/assets/index-1a.js?token=correct+horse"):
        assert "set-cookie" not in refused(path).headers
    refused("/", Cookie=f"{COOKIE}=wrong")


@pytest.mark.parametrize("path", ["/api/catalog", "/api/workflows", "/api/runs"])
def test_the_cookie_opens_the_editors_files_and_nothing_else(public: Running, path: str) -> None:
    opened = public.ask("GET", "/?token=correct+horse").headers["set-cookie"].split(";")[0]
    assert public.ask("GET", path, Cookie=opened).status == 401
