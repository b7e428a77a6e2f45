"""Verdicts that hang on chance or on a network: proven by running again."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker
import pytest

from .conftest import verified, write

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def test_a_solution_that_works_at_times_is_flaky(tmp_path: Path) -> None:
    # Twelve repeats agree in one of 2,048 runs.
    coin = "#!/bin/bash\n(( RANDOM % 2 )) && echo 55 >/data/sum.txt\nexit 0\n"
    report = verified([write(tmp_path / "coin", {"solution/solve.sh": coin})], repeats=12)
    assert report.tasks[0].defects == ("flaky",), report.tasks[0].found
    rewards = {report.tasks[0].gates[f"reference {number}"]["reward"] for number in range(1, 13)}
    assert rewards == {0, 1}


class Server(BaseHTTPRequestHandler):
    """Serves the right answer."""

    def do_GET(self) -> None:
        """See `http.server`."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"55\n")

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """A server that containers of the engine's bridge reach."""
    client = docker.from_env()
    try:
        gateway = client.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway")
    finally:
        client.close()
    try:
        server = ThreadingHTTPServer((gateway or "172.17.0.1", 0), Server)
    except OSError as error:
        pytest.skip(f"the engine has no bridge on this machine: {error}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{server.server_address[0]}:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_passes_with_a_network_alone_is_proven_to(address: str, tmp_path: Path) -> None:
    fetches = f"#!/bin/bash\ncurl -fsS --connect-timeout 5 {address}/answer >/data/sum.txt\n"
    report = verified([write(tmp_path / "fetches", {"solution/solve.sh": fetches})])
    (task,) = report.tasks
    assert task.defects == ("needs-network",), task.found
    assert "passes with a network alone" in task.found[0].detail
    assert task.network
    # Everything else was run with a network too, and found sound.
    assert task.gates["reference 2"]["reward"] == 1
    assert not [name for name, gate in task.gates.items() if not gate["passed"]]
