"""What a task folder shows of itself: its base images, where its tests lie, its texts, its certificate."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from envs import certificate
from envs.certificate import CertificateVersionError
from envs.folder import CERTIFICATE_NAME, folder_digest
from envs.verify import lint
from envs.verify.defects import Fault
from envs.verify.dockerfile import images, pinned
from envs.verify.placement import misplaced
from envs.verify.shape import Shape


@dataclass(frozen=True)
class Read:
    """What was told by reading."""

    faults: list[Fault]
    notes: list[str]


def read_folder(folder: Path, shape: Shape) -> Read:
    """Everything that can be told of a task folder without running it."""
    faults: list[Fault] = []
    notes = list(shape.notes)
    for image in _bases(folder, shape):
        if not pinned(image):
            faults.append(Fault("unpinned-image", f"{image} is another image from one day to the next"))
    faults += misplaced(folder)
    if not shape.solution and not shape.unsupported:
        faults.append(Fault("no-reference", "there is no solution/solve.sh: nothing shows that it can be solved"))
    texts = lint.read_texts(folder)
    if texts.instruction and (why := lint.immeasurable(texts)):
        faults.append(Fault("ambiguous", why))
    notes += map(str, lint.notes(texts))
    stale, note = _stale(folder)
    faults += [Fault("stale-certificate", stale)] if stale else []
    return Read(faults, notes + ([note] if note else []))


def _bases(folder: Path, shape: Shape) -> list[str]:
    """The images that it stands on, as they are named."""
    if shape.image:
        return [shape.image]
    if not shape.dockerfile:
        return []
    return images((folder / "environment" / "Dockerfile").read_text(encoding="utf-8", errors="replace"))


def _stale(folder: Path) -> tuple[str, str]:
    """Why a folder's certificate does not hold, and what else is to be said of it; both empty where it does."""
    try:
        found = certificate.read_certificate(folder)
    except FileNotFoundError:
        return "", ""
    except CertificateVersionError as error:
        return "", f"certificate: {' '.join(str(error).split())}"
    except (ValidationError, OSError, UnicodeDecodeError) as error:
        return f"{CERTIFICATE_NAME} cannot be read: {' '.join(str(error).split())[:160]}", ""
    if not certificate.check_signature(found):
        return f"{CERTIFICATE_NAME} is not as it was signed", ""
    if found.digests.folder != folder_digest(folder):
        return f"{CERTIFICATE_NAME} is of other files than the folder's", ""
    return "", ""
