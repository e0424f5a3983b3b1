"""`fetch`: from what a service JSON names to a path on this machine.

Local folders are used where they are; archives are unpacked into the cache; URLs are downloaded
first. The same content is fetched once, however many processes ask for it at once.
"""

import contextlib
import os
import re
import urllib.parse
from pathlib import Path

from eas_processor.errors import ConfigError
from eas_processor.observe.progress import Progress
from eas_processor.store import archive
from eas_processor.store import cache as slots
from eas_processor.store.settings import FetchSettings

_SHOWN_NEIGHBOURS_MAX = 10
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DEFAULTS = FetchSettings()


def fetch(
    model_path: str,
    *,
    base: Path,
    cache: Path,
    progress: Progress,
    settings: FetchSettings = _DEFAULTS,
) -> Path:
    """The local absolute path of a model: a folder, or a file that is no archive.

    `base` is the folder that relative paths start from; `cache` is where downloads and unpacked
    archives live. Blocks; ConfigError and StartError say in words what went wrong.
    """
    model_path = model_path.strip()
    scheme = _scheme(model_path)
    root = Path(os.path.abspath(cache))
    if scheme in ("http", "https"):
        from eas_processor.store.download import download

        found = download(model_path, root, settings, progress)
        return _opened(found.path, found.sha256, root, settings, progress)
    if scheme in ("oss", "s3"):
        from eas_processor.store import bucket

        local = bucket.fetch(model_path, root, settings, progress)
    elif scheme in ("", "file"):
        local = _local(model_path, base, scheme)
    else:
        raise ConfigError(
            f"{model_path}: {scheme}:// is not understood; "
            "use a path, http://, https://, oss:// or s3://"
        )
    return _opened(local, _version(local), root, settings, progress)


def _scheme(text: str) -> str:
    if _CONTROL.search(text) or not text:
        raise ConfigError(f"{text!r}: not a path")
    if "://" not in text:
        return ""
    try:
        parts = urllib.parse.urlsplit(text)
        if parts.scheme in ("http", "https") and not (parts.hostname and parts.port != 0):
            raise ValueError("it names no host")
    except ValueError as error:
        raise ConfigError(f"{text.partition('?')[0]}: not a URL: {error}") from error
    return parts.scheme.lower() or "an empty scheme"


def _local(text: str, base: Path, scheme: str) -> Path:
    if scheme:
        parts = urllib.parse.urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise ConfigError(f"{text}: {parts.netloc!r} is read as a host; write file:///path")
        text = urllib.parse.unquote(parts.path)
    path = Path(os.path.abspath(base / os.path.expanduser(text)))
    try:
        found = path.exists()
    except OSError as error:
        raise ConfigError(f"{path}: can not be read: {error.strerror}") from error
    if not found:
        raise ConfigError(f"{path}: there is no such file or folder; {_neighbours(path)}")
    if not os.access(path, os.R_OK):
        raise ConfigError(f"{path}: this user may not read it; change its rights")
    if not path.is_dir() and not path.is_file():
        raise ConfigError(f"{path}: neither a file nor a folder")
    return path


def _neighbours(path: Path) -> str:
    parent = next(one for one in path.parents if one.is_dir())
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = sorted(one.name for one in parent.iterdir() if not one.name.startswith("."))
    if not names:
        return f"{parent} is empty"
    more = ", …" if len(names) > _SHOWN_NEIGHBOURS_MAX else ""
    return f"{parent} holds {', '.join(names[:_SHOWN_NEIGHBOURS_MAX])}{more}"


# What changes when a local file is replaced, whatever tool did it.
def _version(path: Path) -> str:
    about = path.stat()
    return slots.key_of(
        os.path.realpath(path), about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino
    )


def _opened(
    path: Path, version: str, root: Path, settings: FetchSettings, progress: Progress
) -> Path:
    if not settings.unpack or path.is_dir():
        return path
    try:
        if archive.sniff(path) is None:
            return path
        key = slots.key_of("unpacked", version)
        final = root / "unpacked" / key
        # A final name is given to complete folders only, so no lock is needed to trust it.
        if final.is_dir():
            return final
        with slots.locked(root, key, settings.lock_timeout_s, progress):
            if not final.is_dir():
                partial = slots.fresh(root / "unpacked" / f"{key}.partial")
                try:
                    archive.unpack(path, partial, settings, progress)
                    slots.settle(partial, final)
                finally:
                    slots.remove(partial)
    except OSError as error:
        raise slots.in_words(error, f"{path}: can not be unpacked into {root}") from error
    return final
