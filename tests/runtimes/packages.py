"""Hand-made packages and processors, so that real installs need neither network nor TensorFlow."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

# The in-tree build backend of a source package that stops in the middle of its install: it tells
# `arrived` and goes on when something comes out of `go`.
GATED_BACKEND = """
import os, signal, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    signal.alarm(120)
    with open({arrived!r}, "wb", 0) as arrived:
        arrived.write(b"%d\\n" % os.getpid())
    go = os.open({go!r}, os.O_RDONLY)
    os.read(go, 1)
    name = "{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, text in {files!r}.items():
            wheel.writestr(path, text)
    return name
"""


def wheel_files(name: str, modules: dict[str, str], version: str = "1.0") -> dict[str, str]:
    """Path → text of all that a wheel holds."""
    info = f"{name}-{version}.dist-info"
    files = {
        **modules,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    return {**files, f"{info}/RECORD": record}


def write_wheel(folder: Path, name: str, modules: dict[str, str], version: str = "1.0") -> str:
    """Put a wheel into `folder`; its line for a lock file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        for path, text in wheel_files(name, modules, version).items():
            wheel.writestr(path, text)
    return _pin(name, version, file)


def write_gated_source(folder: Path, name: str, arrived: Path, go: Path) -> str:
    """Put a source package into `folder` whose build waits for `go`; its line for a lock file."""
    folder.mkdir(parents=True, exist_ok=True)
    backend = GATED_BACKEND.format(
        arrived=str(arrived),
        go=str(go),
        name=name,
        files=wheel_files(name, {f"{name}.py": "COLOUR = 'green'\n"}),
    )
    texts = {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n",
        "backend.py": backend,
        "pyproject.toml": "[build-system]\nrequires = []\n"
        'build-backend = "backend"\nbackend-path = ["."]\n',
    }
    file = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for path, text in texts.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return _pin(name, "1.0", file)


def write_processor(folder: Path, name: str, pins: list[str], **keys: object) -> Path:
    """A processor folder whose lock takes `pins` from `<folder>/packages` and nowhere else."""
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    header = f"--no-index\n--find-links {folder / 'packages'}\n"
    (home / "requirements.lock").write_text(header + "".join(pins))
    values = {"name": name, "entry": "tiny:Tiny", "lock": "requirements.lock", **keys}
    lines = [f"{key} = {_toml(value)}\n" for key, value in values.items()]
    (home / "processor.toml").write_text("".join(lines))
    return home


def _pin(name: str, version: str, file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{name}=={version} --hash=sha256:{digest}\n"


def _toml(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
