"""The certificate: what was executed to prove an environment, and what came of it. It ships in the task folder.

Its fields are described in docs/certificate.md, its JSON schema is `certificate.schema.json` beside this file.
"""

import hashlib
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from envs.folder import CERTIFICATE_NAME

VERSION: Literal[2] = 2

SCHEMA = Path(__file__).with_name("certificate.schema.json")
"""The JSON schema of a certificate, as it ships."""

Gate = Literal[
    "builds", "state", "nothing", "reference", "clock", "alternative", "partial", "wrong", "derived", "cheat",
    "contract", "leaks",
]  # fmt: skip
"""In the order in which they are told."""


class CertificateVersionError(ValueError):
    """A certificate of another version than this code reads; the message is one line."""


class GateResult(BaseModel):
    """One gate: one fresh container, one script or none, one grading; or one comparison of texts."""

    model_config = ConfigDict(frozen=True)

    gate: Gate
    name: str
    """Which one: the script's name, the kind of the wrong output, or the number of the repeat from 1; empty where there
    is but one."""
    passed: bool
    """Nothing that it found speaks against the environment; so too where it was skipped."""
    expected: float | None
    """Reward that passes; None where nothing is graded."""
    reward: float | None
    """Reward that came; None where nothing was graded, or the tests left none."""
    checks: dict[str, float] = {}
    """Verdict of each check."""
    messages: dict[str, str] = {}
    """Why checks did not pass."""
    exit_code: int | None = None
    """Of the script."""
    output: str = ""
    """End of the output of the script or the build, and of the tests; of a comparison, what it found, a line each. For
    reading, cut to size."""
    seconds: float
    skipped: str | None = None
    """Why it was not run: what it needs is not there, or it could not tell anything."""


class Flakiness(BaseModel):
    """How often the reference passed."""

    model_config = ConfigDict(frozen=True)

    runs: int
    passed: int
    rate: float
    """Share of the runs that did not pass."""


class Versions(BaseModel):
    """What the proof ran on."""

    model_config = ConfigDict(frozen=True)

    synth: str
    docker: str
    harbor: str
    python: str


class Digests(BaseModel):
    """What was proven, by content."""

    model_config = ConfigDict(frozen=True)

    folder: str
    """All files of the task folder but the certificate."""
    state: str | None
    """The state layer; None in a folder that is not ours."""
    base_reference: str | None
    base_image: str | None
    image: str
    """Id of the built image in the engine that built it; not the same from one build to the next."""


class Certificate(BaseModel):
    """The whole proof of one environment. Only a passed one is ever written."""

    model_config = ConfigDict(frozen=True)

    version: Literal[2] = VERSION
    certified: bool
    """Every gate passed."""
    network: Literal["none", "bridge"] = "none"
    """Network of every gate's container."""
    gates: list[GateResult]
    """In order."""
    flakiness: Flakiness
    """Of the reference's repeats."""
    outputs: list[str] = []
    """Regular files that the reference creates or changes, by absolute path; none of a version control's own."""
    varying: list[str] = []
    """Those of them whose content is another in each repeat, and no check minds."""
    declared: list[str] = []
    """What solution and checks use of clock and chance, by their text."""
    never_red: list[str] = []
    """Checks that passed in every attempt, also in those that had to fail: nothing shows that they can fail."""
    digests: Digests
    versions: Versions
    started: datetime
    seconds: float
    signature: str = ""
    """`sha256:` and the digest of everything else in canonical JSON (see `signature_of`)."""


def signature_of(certificate: Certificate) -> str:
    """Digest of a certificate's content: JSON with sorted keys and no spaces, in UTF-8, without the signature."""
    content = certificate.model_dump(mode="json", exclude={"signature"})
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def signed(certificate: Certificate) -> Certificate:
    """The same certificate with the signature that its content has."""
    return certificate.model_copy(update={"signature": signature_of(certificate)})


def check_signature(certificate: Certificate) -> bool:
    """Whether a certificate says what it said when it was signed.

    It is a hash and no secret: it shows damage and edits by hand, not who made it. Whether the folder is the one that
    was proven is told by `digests.folder`.
    """
    return certificate.signature == signature_of(certificate)


def write_certificate(certificate: Certificate, folder: Path) -> None:
    """Write `certificate.json` into a task folder: whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".certificate-", delete=False) as file:
        file.write(certificate.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    # Folders are read by people other than the one who ran the factory.
    os.chmod(file.name, 0o644)  # noqa: PTH101
    os.replace(file.name, folder / CERTIFICATE_NAME)  # noqa: PTH105


def read_certificate(folder: Path) -> Certificate:
    """Read a task folder's certificate; whether it is as it was signed is for `check_signature` to say.

    Raises:
        FileNotFoundError: it has none.
        CertificateVersionError: it is of another version.
        pydantic.ValidationError: it is of another form.
    """
    text = (folder / CERTIFICATE_NAME).read_text()
    try:
        version = json.loads(text)["version"]
    except (ValueError, KeyError, TypeError):
        version = VERSION
    if version != VERSION:
        raise CertificateVersionError(
            f"{folder / CERTIFICATE_NAME} is a certificate of version {version}, and version {VERSION} is read here:"
            " prove the environment again"
        )
    return Certificate.model_validate_json(text)


def schema_text() -> str:
    """What `SCHEMA` has to hold."""
    return json.dumps(Certificate.model_json_schema(), indent=2) + "\n"
