"""The lock files in this repository: pinned, hashed, and of the TensorFlow they stand for."""

import re

import pytest

from eas_processor.registry import Registry

LOCKED = [manifest for manifest in Registry().all() if manifest.lock]


def entries(text: str) -> list[str]:
    """One text for each requirement, its hashes included."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [entry.strip() for entry in "\n".join(lines).replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize("manifest", LOCKED, ids=lambda manifest: manifest.name)
def test_every_requirement_is_pinned_and_hashed_and_no_registry_is_named(manifest):
    for file in manifest.folder.glob("*.lock"):
        for entry in entries(file.read_text()):
            assert re.match(r"[a-z0-9-]+==[^ ]+ ", entry), entry
            assert re.search(r" --hash=sha256:[0-9a-f]{64}$", entry), entry
            assert "://" not in entry and "index" not in entry


@pytest.mark.parametrize("manifest", LOCKED, ids=lambda manifest: manifest.name)
def test_the_lock_pins_the_tensorflow_of_the_manifest(manifest):
    text = (manifest.folder / manifest.lock).read_text()

    pins = re.findall(r"^tensorflow(?:-cpu|-gpu)?==([^ ]+)", text, re.MULTILINE)

    assert pins and set(pins) == {manifest.tensorflow}


@pytest.mark.parametrize("manifest", LOCKED, ids=lambda manifest: manifest.name)
def test_what_needs_a_build_has_its_builders_pinned_too(manifest):
    source = (manifest.folder / "requirements.in").read_text()

    assert (manifest.folder / "build.lock").is_file() == ("--no-binary" in source)
