"""`synth export` as a user starts it, and its upload to a hub that this test serves."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from synth.run_folder import RunFolder
from tests.factory.commands import Ended, synth
from tests.trajectories.export_case import INSTRUCTIONS, lost, run_folder, student_folder, trial
from trajectories.export.split import lot
from trajectories.export.write import stem

TOKEN = "hf_thisIsTheSecretOfTheTest"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A finished run: four tasks solved, one of them also tried in vain."""
    return run_folder(tmp_path / "run", [*(trial(topic) for topic in INSTRUCTIONS), lost("hooks")])


def export(run: RunFolder, *arguments: str, **extra: str) -> Ended:
    """`synth export` of that run into `out` beside it, without anybody's token."""
    folder = run.path.parent
    home = {"HF_HOME": str(folder / "hf"), "HF_TOKEN": "", "HF_HUB_OFFLINE": "0", **extra}
    return synth("export", str(run.path), "--out", str(folder / "out"), *arguments, folder=folder, extra=home)


def test_everything_of_a_run_is_written_and_counted(run: RunFolder) -> None:
    lots = sorted(lot(f"version_control/{topic}") for topic in INSTRUCTIONS)
    ended = export(
        run, "--format", "all", "--held-out", str((lots[1] + lots[2]) / 2), "--license", "cc-by-4.0", "--json"
    )
    assert ended.code == 0, ended.err
    said = ended.json
    assert (said["policy"], said["seen"], said["kept"], said["push"]) == ("verified", 5, 4, None)
    assert said["counts"]["messages"] == said["counts"]["harbor"] == {"train": 2, "held_out": 2}
    assert sum(said["counts"]["preference"].values()) == 1
    out = run.path.parent / "out"
    assert {Path(path) for path in [*said["rows"].values(), *said["papers"].values()]} == set(out.iterdir())
    assert set(said["papers"]) == {"dataset_info.json", "export.json", "lock.json", "overlap.json"}
    manifest = json.loads((out / "export.json").read_text())
    assert manifest["license"] == "cc-by-4.0"
    assert manifest["lock_sha256"] in (out / "README.md").read_text()
    assert (out / "lock.json").read_bytes() == run.lock_file.read_bytes()
    card = (out / "README.md").read_text()
    for text in ("license: cc-by-4.0", "The rows: cc-by-4.0.", "| gates | 4 | 0 |", "| policy | 4 | 1 |", "sim:sim"):
        assert text in card


def test_another_policy_has_other_rows_and_no_pairs(run: RunFolder) -> None:
    ended = export(run, "--policy", "everything", "--format", "messages,preference")
    assert ended.code == 0, ended.err
    assert "5 of 5 trajectories kept by policy everything" in ended.out
    assert "preference: 0 train" in ended.out
    # A configuration without rows is none that `datasets` could load.
    assert "config_name: preference" not in (run.path.parent / "out" / "README.md").read_text()


def test_the_student_whose_template_it_is_for_stands_in_card_and_manifest(run: RunFolder, tmp_path: Path) -> None:
    student = student_folder(tmp_path / "student")
    ended = export(run, "--tokenizer", str(student), "--thinking", "kept")
    assert ended.code == 0, ended.err
    audit = json.loads((tmp_path / "out" / "export.json").read_text())["audit"]
    assert audit["thinking"] == "kept"
    card = (tmp_path / "out" / "README.md").read_text()
    assert audit["template"] in card
    assert audit["tokenizer"] in card
    assert "the longest text of a trajectory has" in card


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--format", "parquet"), 2, "--format parquet: there is no such format; known are messages"),
        (("--held-out", "1"), 2, "--held-out 1: is a share"),
        (("--held-out", "-0.5"), 2, "--held-out -0.5: is a share"),
        (("--held-out", "lots"), 2, "--held-out"),
        (("--held-out", "0.0000001"), 2, "leaves nothing held out"),
        (("--against", "nowhere"), 2, "nowhere: there is no such file or folder"),
        (("--against", "."), 2, "no Harbor task that can be read"),
        (("--thinking", "kept"), 2, "it needs --tokenizer too"),
        (("--tokenizer", "nowhere/model"), 2, "nowhere/model"),
        (("--tokenizer", ".", "--thinking", "loud"), 2, "--thinking loud: is one of kept, stripped, off"),
        (("--push", "a/b/c"), 2, "--push a/b/c: no name of a dataset"),
        (("--policy", "strict"), 2, "policy 'strict'"),
        (("--out", "taken"), 2, "taken: cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line(run: RunFolder, arguments: tuple[str, ...], code: int, said: str) -> None:
    (run.path.parent / "taken").write_text("a file")
    if arguments == ("--against", "."):
        (run.path.parent / "bench").mkdir()
        (run.path.parent / "bench" / "task.toml").write_text("")
    ended = export(run, *arguments)
    assert ended.code == code, ended.err
    assert said in ended.err
    assert ended.err.count("\n") == 1, ended.err
    assert not (run.path.parent / "out").exists()


def test_a_damaged_lock_is_one_line(run: RunFolder) -> None:
    run.lock_file.write_text('{"models": ')
    ended = export(run)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "lock.json of the run: is damaged" in ended.err


def test_nothing_kept_writes_nothing(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("name: none\nabout: None.\nkeep:\n  turns: {min: 99}\n")
    ended = export(run, "--policy", str(tmp_path / "none.yaml"), "--push", "me/mine")
    assert (ended.code, ended.out) == (1, "0 of 5 trajectories kept by policy none\n")
    assert not (tmp_path / "out").exists()


class Hub(ThreadingHTTPServer):
    """As much of the hub as an upload asks for; keeps what came."""

    def __init__(self, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.status = status
        self.created: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()
        self.summary = ""


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _reply(self, body: object, status: int = 200) -> None:
        sent = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def do_GET(self) -> None:
        """Nothing here can be read."""
        self._reply({"error": "Not Found"}, 404)

    def do_POST(self) -> None:
        """Create, ask how to upload, validate the card, commit."""
        hub = self.server
        dataset = f"http://127.0.0.1:{hub.server_port}/datasets/me/mine"
        hub.tokens.add(self.headers.get("Authorization"))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if hub.status != 200:
            self._reply({"error": f"You may not, with {self.headers.get('Authorization')}"}, hub.status)
        elif self.path == "/api/repos/create":
            hub.created.append(json.loads(body))
            self._reply({"url": dataset, "name": "me/mine", "id": "1"})
        elif self.path == "/api/validate-yaml":
            self._reply({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            kinds = [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False} for each in asked]
            self._reply({"files": kinds})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "header":
                    hub.summary = entry["value"]["summary"]
                else:
                    hub.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self._reply({"commitUrl": f"{dataset}/commit/0", "commitOid": "0", "pullRequestUrl": None})
        else:
            self._reply({"error": "Not Found"}, 404)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub on loopback."""
    served = Hub()
    thread = Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


def test_without_a_token_it_says_what_it_would_upload_and_asks_nobody(run: RunFolder, hub: Hub) -> None:
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    ended = export(run, "--format", "messages,harbor", "--push", "me/mine", HF_ENDPOINT=endpoint)
    assert ended.code == 0, ended.err
    assert "dry run, no token" in ended.out
    for name in (
        "README.md",
        "messages.parquet",
        "harbor/dataset.toml",
        "harbor/version_control-hooks/certificate.json",
    ):
        assert f"  {name} (" in ended.out
    assert hub.tokens == set()


def test_a_push_uploads_the_export_and_nothing_else(run: RunFolder, hub: Hub) -> None:
    out = run.path.parent / "out"
    out.mkdir()
    (out / "private-notes.txt").write_text("mine")
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    ended = export(
        run, "--format", "messages,atif", "--push", "me/mine", "--json", HF_ENDPOINT=endpoint, HF_TOKEN=TOKEN
    )
    assert ended.code == 0, ended.err
    here = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    del here["private-notes.txt"]
    assert hub.files == here
    assert {stem("messages", "train") + ".jsonl", "README.md", "export.json"} < set(hub.files)
    assert [(each["type"], each["visibility"]) for each in hub.created] == [("dataset", "private")]
    assert hub.summary == "synth export of run"
    assert hub.tokens == {f"Bearer {TOKEN}"}
    pushed = ended.json["push"]
    assert (pushed["uploaded"], pushed["repo"]) == (True, "me/mine")
    assert pushed["files"] == {name: len(content) for name, content in here.items()}
    assert TOKEN not in ended.out + ended.err


@pytest.mark.parametrize("status", [401, 403])
def test_a_hub_that_refuses_is_one_line_without_the_token(run: RunFolder, hub: Hub, status: int) -> None:
    hub.status = status
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    ended = export(run, "--push", "me/mine", HF_ENDPOINT=endpoint, HF_TOKEN=TOKEN)
    assert ended.code == 3, ended.err
    assert "me/mine: not uploaded" in ended.err
    assert "the export itself is written" in ended.err
    assert (run.path.parent / "out" / "README.md").exists()
    assert TOKEN not in ended.out + ended.err
    assert "Traceback" not in ended.err
