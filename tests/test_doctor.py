"""What `synth doctor` finds: each check as data, with a mend where something is missing, and never a key."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker
import docker.errors
import pytest

from synth.doctor import Check, checks
from synth.gateway.settings import Upstream

KEY = "sk-secret-of-this-test"


class Models(BaseHTTPRequestHandler):
    """`/v1/models` for the one key; 401 for any other."""

    def do_GET(self) -> None:
        allowed = self.headers["authorization"] == f"Bearer {KEY}" and self.path == "/v1/models"
        body = json.dumps({"object": "list", "data": []} if allowed else {"error": "no"}).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """Address, up to `/v1`, of a server that lists its models."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Models) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/v1"
        listening.shutdown()


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


def look(folder: Path, upstreams: dict[str, Upstream], environment: dict[str, str]) -> dict[str, Check]:
    found = list(checks(upstreams, ["version_control"], folder / "runs" / "none", environment))
    for check in found:
        assert "\n" not in check.found + (check.mend or "")
        assert KEY not in repr(check)
        assert check.ok or check.mend
    assert not (folder / "runs").exists()
    return {check.name: check for check in found}


@pytest.mark.usefixtures("no_engine")
def test_no_engine_is_said_once_with_the_way_out(tmp_path: Path) -> None:
    found = look(tmp_path, {"sim": Upstream(kind="sim")}, {})
    assert [name for name, check in found.items() if not check.ok] == ["docker engine"]
    assert str(tmp_path) in found["docker engine"].found
    assert "make setup" in (found["docker engine"].mend or "")
    assert found["python"].ok
    assert found["upstream, sim"].ok


@pytest.mark.usefixtures("no_engine")
def test_an_upstream_that_answers(tmp_path: Path, server: str) -> None:
    found = look(tmp_path, {"own": Upstream(url=server, key_env="OWN_KEY")}, {"OWN_KEY": KEY})
    assert found["key, own"] == Check("key, own", True, "OWN_KEY is set")
    assert found["upstream, own"] == Check("upstream, own", True, f"{server} answers")


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("environment", [{}, {"OWN_KEY": ""}])
def test_a_missing_key_names_its_variable_and_nobody_is_asked(
    tmp_path: Path, server: str, environment: dict[str, str]
) -> None:
    found = look(tmp_path, {"own": Upstream(url=server, key_env="OWN_KEY")}, environment)
    assert not found["key, own"].ok
    assert found["key, own"].mend == "export OWN_KEY=..."
    assert "was not asked" in found["upstream, own"].found


@pytest.mark.usefixtures("no_engine")
def test_a_refused_key_and_a_server_that_is_down(tmp_path: Path, server: str) -> None:
    upstreams = {"own": Upstream(url=server, key_env="OWN_KEY"), "down": Upstream(url="http://127.0.0.1:9/v1")}
    found = look(tmp_path, upstreams, {"OWN_KEY": KEY + "x"})
    assert "refuses the key (401)" in found["upstream, own"].found
    assert "does not answer" in found["upstream, down"].found
    assert "key, down" not in found


@pytest.mark.usefixtures("no_engine")
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    found = look(tmp_path, {}, {})
    assert not found["disk, run folder"].ok
    assert found["disk, run folder"].found == f"0.1 GB free at {tmp_path}, 1 wanted"


@pytest.mark.docker
def test_a_real_engine(tmp_path: Path) -> None:
    try:
        client = docker.from_env()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    before = {container["Id"] for container in client.api.containers(all=True)}
    found = look(tmp_path, {"sim": Upstream(kind="sim")}, {})
    assert found["docker engine"].found.startswith(client.version()["Version"])
    if not found["base image, version_control"].ok:
        assert found["base image, version_control"].mend == ".venv/bin/python -m envs.images version_control"
        pytest.skip("the base image of version_control is not there; `make setup` builds it")
    assert found["container"].ok, found["container"]
    ours = [each for each in client.api.containers(all=True) if each["Id"] not in before and each["Command"] == "true"]
    client.close()
    assert ours == []


@pytest.mark.docker
def test_a_domain_without_a_base_image_recipe(tmp_path: Path) -> None:
    try:
        docker.from_env().close()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    found = {check.name: check for check in checks({}, ["no_such"], tmp_path, {}, {"herbs": ["hello"]})}
    assert "no base image recipe for domain 'no_such'" in found["base image, no_such"].found
    # What nobody asked for may be missing: a run builds it when it needs it.
    assert found["base image, herbs"].ok
    assert "the first run that needs it builds it" in found["base image, herbs"].found
