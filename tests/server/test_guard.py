"""Attacks: other sites, DNS rebinding, missing tokens, bodies that are no JSON or too large, paths out of it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from sdgraph.server.app import ROUTES
from sdgraph.server.guard import is_loopback
from tests.server.conftest import TEMPLATE, Running, serving

TOKEN = "correct horse battery staple"


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    """A server as it is on the network."""
    with serving(tmp_path_factory.mktemp("public"), host="0.0.0.0", token=TOKEN) as running:
        yield running


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8188", "127.0.0.1.evil.example", "", "[::2]"])
def test_after_dns_rebinding_the_name_of_the_host_gives_the_attacker_away(server: Running, host: str) -> None:
    reply = server.ask("GET", "/api/catalog", Host=host)
    assert (reply.status, reply.codes) == (403, ["host-refused"])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_the_servers_own_names_are_answered(server: Running, host: str) -> None:
    assert server.ask("GET", "/api/health", Host=f"{host}:{server.port}").status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_page_of_another_origin_is_refused(server: Running, origin: str, method: str) -> None:
    reply = server.ask(method, "/api/workflows/template", Origin=origin)
    assert (reply.status, reply.codes) == (403, ["origin-refused"])


def test_a_page_of_the_server_itself_is_answered(server: Running) -> None:
    own = f"http://127.0.0.1:{server.port}"
    assert server.ask("GET", "/api/health", Origin=own).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_of_another_site_can_not_pass_for_json(server: Running, kind: str) -> None:
    reply = server.ask("POST", "/api/plan", b'{"workflow": {"name": "template"}}', Content_Type=kind)
    assert (reply.status, reply.codes) == (415, ["media-type-refused"])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_off_loopback_every_route_demands_the_token(public: Running, route: object) -> None:
    from sdgraph.server.routing import Route

    assert isinstance(route, Route)
    path = route.path.replace("{name}", "template")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": "Bearer \xff"}):
        reply = public.ask(route.method, path, **headers)
        assert (reply.status, reply.codes) == (401, ["token-missing"])
        assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "path", ["/", "/api/openapi.json", "/api/nothing", "/api/health?token=" + TOKEN.replace(" ", "+")]
)
def test_nothing_at_all_is_told_without_the_token(public: Running, path: str) -> None:
    assert public.ask("GET", path).status == 401


def test_behind_a_proxy_that_adds_tls_the_servers_own_pages_are_answered_and_others_not(public: Running) -> None:
    sent = {"Authorization": f"Bearer {TOKEN}", "Host": "studio.example"}
    assert public.ask("GET", "/api/health", **sent, Origin="https://studio.example").status == 200
    for origin in ("https://evil.example", "https://studio.example:444", "ftp://studio.example", "null"):
        assert public.ask("GET", "/api/health", **sent, Origin=origin).status == 403


def test_on_loopback_a_page_over_tls_is_another_site(server: Running) -> None:
    assert server.ask("GET", "/api/health", Origin=f"https://127.0.0.1:{server.port}").status == 403


def test_with_the_token_any_name_of_the_server_is_answered(public: Running) -> None:
    assert public.ask("GET", "/api/health", Authorization=f"Bearer {TOKEN}", Host="studio.example").status == 200


@pytest.mark.parametrize(
    "name", ["..%2Fsecret", "%2e%2e%2fsecret", "a%2Fb", "a%5Cb", "%00", "..", ".hidden", "a" * 101]
)
def test_no_name_of_a_workflow_leads_out_of_the_folder(server: Running, name: str) -> None:
    (server.folder / "secret.json").write_text("{}")
    for method in ("GET", "PUT", "DELETE"):
        reply = server.ask(method, f"/api/workflows/{name}", TEMPLATE if method == "PUT" else None)
        assert reply.status in (404, 405, 422)
    assert (server.folder / "secret.json").read_text() == "{}"


def test_a_symbolic_link_is_neither_read_nor_written_through(server: Running) -> None:
    secret = server.folder / "secret.json"
    secret.write_text(Path(__file__).name)
    (server.folder / "workflows").mkdir()
    (server.folder / "workflows" / "link.json").symlink_to(secret)
    assert server.ask("GET", "/api/workflows/link").codes == ["workflow-unknown"]
    assert server.ask("PUT", "/api/workflows/link", TEMPLATE).status == 200
    assert secret.read_text() == Path(__file__).name
    assert server.ask("GET", "/api/workflows/link").status == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"1", b'{"workflow": 1}', b'{"workflow": {}, "x": 1}']
)
def test_a_body_that_is_not_what_is_expected_is_told_so(server: Running, body: bytes) -> None:
    reply = server.ask("POST", "/api/plan", body)
    assert reply.status == 422
    assert reply.codes[0] in ("not-json", "request-invalid")


def test_a_body_that_is_too_large_is_refused(server: Running) -> None:
    reply = server.ask("POST", "/api/plan", b'{"workflow": "' + b"x" * (40 * 2**20) + b'"}')
    assert (reply.status, reply.codes) == (413, ["body-too-large"])


def test_browsers_are_told_to_run_nothing_from_elsewhere(server: Running) -> None:
    for path in ("/api/health", "/api/nothing"):
        headers = server.ask("GET", path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_loopback_is_what_no_other_machine_can_reach() -> None:
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.168.0.2", "example.com", "localhost.example"))
