"""The certificate: whole on disk, signed by its content, of one version, and described by its schema."""

import json
from pathlib import Path

import pytest

from envs.certificate import (
    SCHEMA,
    Certificate,
    CertificateVersionError,
    Digests,
    Flakiness,
    GateResult,
    Versions,
    check_signature,
    read_certificate,
    schema_text,
    signed,
    write_certificate,
)


def a_certificate() -> Certificate:
    gate = GateResult(gate="nothing", name="", passed=True, expected=0, reward=0, checks={"check_a": 0}, seconds=0.5)
    return signed(
        Certificate(
            certified=True,
            gates=[gate],
            flakiness=Flakiness(runs=2, passed=2, rate=0),
            outputs=["/app/ü"],
            digests=Digests(folder="f", state=None, base_reference=None, base_image=None, image="i"),
            versions=Versions(synth="1", docker="2", harbor="3", python="4"),
            started="2026-01-02T03:04:05Z",  # type: ignore[arg-type]
            seconds=1.5,
        )
    )


def test_a_certificate_is_written_whole_and_read_back(tmp_path: Path) -> None:
    write_certificate(a_certificate(), tmp_path)
    assert read_certificate(tmp_path) == a_certificate()
    assert check_signature(read_certificate(tmp_path))
    assert [file.name for file in tmp_path.iterdir()] == ["certificate.json"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"reward": 0.0', '"reward": 1.0'),
        ('"check_a": 0.0', '"check_b": 0.0'),
        ('"folder": "f"', '"folder": "g"'),
        ('"seconds": 1.5', '"seconds": 1.25'),
        ("sha256:", "sha256:0"),
    ],
)
def test_a_changed_byte_breaks_the_signature(tmp_path: Path, old: str, new: str) -> None:
    write_certificate(a_certificate(), tmp_path)
    file = tmp_path / "certificate.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    assert not check_signature(read_certificate(tmp_path))


def test_layout_is_no_part_of_what_is_signed(tmp_path: Path) -> None:
    content = json.loads(a_certificate().model_dump_json())
    (tmp_path / "certificate.json").write_text(json.dumps(dict(reversed(content.items())), ensure_ascii=False))
    assert check_signature(read_certificate(tmp_path))


def test_another_version_is_refused_in_so_many_words(tmp_path: Path) -> None:
    write_certificate(a_certificate(), tmp_path)
    other = json.loads((tmp_path / "certificate.json").read_text()) | {"version": 1}
    (tmp_path / "certificate.json").write_text(json.dumps(other))
    with pytest.raises(CertificateVersionError, match="of version 1, and version 2 is read here"):
        read_certificate(tmp_path)


def test_the_schema_that_ships_is_the_models_own() -> None:
    assert SCHEMA.read_text() == schema_text(), "write it anew: envs.certificate.SCHEMA.write_text(schema_text())"
