"""Downloading over http(s) into the cache: resumed, checked, revalidated, and usable offline.

A URL has one folder in the cache: `<hash>/<name>` for each content, and `meta.json` with what the
server told about the newest. Only a complete file is ever named there.
"""

import base64
import contextlib
import hashlib
import os
import re
import shutil
import time
import urllib.parse
from pathlib import Path

import msgspec

from eas_processor.errors import ConfigError, StartError
from eas_processor.observe.progress import Progress
from eas_processor.store import cache
from eas_processor.store.settings import CHUNK_BYTES, FetchSettings
from eas_processor.store.transport import Answer, Transport, Trouble, shown

# The content in use and the one before it, which a running worker may still read.
_KEPT_VERSIONS = 2
# With a copy at hand a start need not wait long for a server that is away.
_ATTEMPTS_WITH_A_COPY_MAX = 2
_NAME_CHARS_MAX = 100
_LENGTH = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")


class _Meta(msgspec.Struct, frozen=True):
    file: str
    size: int
    sha256: str
    etag: str = ""
    last_modified: str = ""


class Downloaded(msgspec.Struct, frozen=True):
    """A complete file in the cache."""

    path: Path
    sha256: str


def download(url: str, root: Path, settings: FetchSettings, progress: Progress) -> Downloaded:
    """The content of a URL as a file in the cache, transferred only if it is new."""
    key = cache.key_of("url", url)
    name = shown(url).rstrip("/").rpartition("/")[2]
    progress.start(f"check {name}", None, "B")
    try:
        with cache.locked(root, key, settings.lock_timeout_s, progress):
            one = _Download(url, root / "downloads" / key, settings, progress)
            return one.run()
    except OSError as error:
        raise cache.in_words(error, f"{shown(url)}: can not be stored in {root}") from error
    finally:
        progress.finish()


class _Download:
    def __init__(self, url: str, folder: Path, settings: FetchSettings, progress: Progress) -> None:
        self.url = url
        self.folder = folder
        self.settings = settings
        self.progress = progress
        self.partial = cache.fresh(folder / "content.partial")
        self.kept = _read_meta(folder)
        self.transport = Transport(url, settings)
        self.deadline = time.monotonic() + settings.download_timeout_s
        self.received = 0
        self.hash = hashlib.sha256()
        # What makes a resumed transfer safe: the server's own name for this content.
        self.validator = ""

    def run(self) -> Downloaded:
        """Try, try again where that can help, fall back to what is there."""
        failures = 0
        attempts_max = self.settings.attempts_max
        if self.kept is not None:
            attempts_max = min(attempts_max, _ATTEMPTS_WITH_A_COPY_MAX)
        while True:
            before = self.received
            try:
                return self._attempt()
            except Trouble as error:
                trouble = error
            # An attempt that brought something home is not held against the server.
            failures = failures + 1 if self.received - before < CHUNK_BYTES else 1
            pause = self.settings.retry_delay_s * 2 ** (failures - 1)
            late = time.monotonic() + pause >= self.deadline
            if not trouble.again or failures >= attempts_max or late:
                return self._give_up(trouble)
            if not self.validator:
                self.received = 0
            self.progress.note(f"{trouble}; trying again")
            time.sleep(pause)

    def _give_up(self, trouble: Trouble) -> Downloaded:
        self.partial.unlink(missing_ok=True)
        if trouble.user:
            raise ConfigError(str(trouble)) from trouble
        if self.kept is None:
            raise StartError(f"{trouble}; check the network, or give a local path") from trouble
        self.progress.note(f"warning: {trouble}; going on with the copy in the cache, maybe old")
        return self._as_kept(self.kept)

    def _attempt(self) -> Downloaded:
        with self.transport.open(self._request_headers()) as answer:
            if self.kept is not None and self._is_kept(answer, self.kept):
                self.partial.unlink(missing_ok=True)
                return self._as_kept(self.kept)
            total = self._begin(answer)
            self._copy(answer, total)
            return self._keep(answer)

    def _request_headers(self) -> dict[str, str]:
        if self.received and self.validator:
            return {"Range": f"bytes={self.received}-", "If-Range": self.validator}
        if self.kept is None:
            return {}
        headers = {"If-None-Match": self.kept.etag, "If-Modified-Since": self.kept.last_modified}
        return {name: text for name, text in headers.items() if text}

    # Servers that know nothing of conditional requests still name what they send. Size alone
    # proves nothing: a model that was trained again has the size it had before.
    def _is_kept(self, answer: Answer, kept: _Meta) -> bool:
        if answer.status != 200:
            return answer.status == 304
        etag = answer.header("ETag")
        if etag or kept.etag:
            return etag == kept.etag
        changed = answer.header("Last-Modified")
        return bool(changed) and (changed, answer.header("Content-Length")) == (
            kept.last_modified,
            str(kept.size),
        )

    def _begin(self, answer: Answer) -> int | None:
        if answer.status == 304:
            raise Trouble(f"{shown(self.url)}: a 304 for a file that is not here", again=False)
        total: int | None = None
        if answer.status == 206:
            found = _CONTENT_RANGE.fullmatch(answer.header("Content-Range"))
            if not found or int(found.group(1)) != self.received:
                self.validator = ""
                raise Trouble(f"{shown(self.url)}: the server sent another part", again=True)
            total = int(found.group(2)) if found.group(2) != "*" else None
        else:
            self.received = 0
            self.hash = hashlib.sha256()
            length = answer.header("Content-Length")
            total = int(length) if _LENGTH.fullmatch(length) else None
        self.validator = _validator(answer)
        self._check_size(total)
        name = shown(self.url).rpartition("/")[2]
        self.progress.start(f"download {name}", total, "B")
        self.progress.advance(self.received)
        return total

    def _check_size(self, total: int | None) -> None:
        size = self.received if total is None else total
        if size > self.settings.download_bytes_max:
            raise ConfigError(
                f"{shown(self.url)}: larger than {self.settings.download_bytes_max} bytes; "
                "download it by hand and give its local path"
            )
        if total is not None and total - self.received > shutil.disk_usage(self.folder).free:
            raise StartError(
                f"{shown(self.url)}: {total} bytes do not fit on the disk of {self.folder}; "
                "make room or set another cache folder"
            )

    def _copy(self, answer: Answer, total: int | None) -> None:
        with open(self.partial, "ab" if self.received else "wb") as file:
            file.truncate(self.received)
            while chunk := answer.read(CHUNK_BYTES):
                file.write(chunk)
                self.hash.update(chunk)
                self.received += len(chunk)
                self.progress.advance(len(chunk))
                if self.received > self.settings.download_bytes_max:
                    self._check_size(None)
                if time.monotonic() > self.deadline:
                    limit = self.settings.download_timeout_s
                    raise Trouble(f"{shown(self.url)}: not done in {limit:g} s", again=False)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and self.received != total:
            raise Trouble(
                f"{shown(self.url)}: cut short, {self.received} of {total} bytes came", again=True
            )

    def _keep(self, answer: Answer) -> Downloaded:
        self._check_md5(answer)
        digest = self.hash.hexdigest()
        meta = _Meta(
            file=f"{digest[:16]}/{_file_name(answer, self.url)}",
            size=self.received,
            sha256=digest,
            etag=answer.header("ETag"),
            last_modified=answer.header("Last-Modified"),
        )
        final = self.folder / meta.file
        final.parent.mkdir(exist_ok=True)
        cache.settle(self.partial, final)
        note = self.folder / "meta.json.partial"
        note.write_bytes(msgspec.json.encode(meta))
        cache.settle(note, self.folder / "meta.json")
        _prune(self.folder, final.parent.name)
        return self._as_kept(meta)

    # Object stores send it; of a resumed transfer it would have to be read from the disk again.
    def _check_md5(self, answer: Answer) -> None:
        wanted = answer.header("Content-MD5")
        if not wanted or answer.status != 200:
            return
        with open(self.partial, "rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
        if base64.b64encode(found).decode() != wanted:
            self.validator = ""
            raise Trouble(f"{shown(self.url)}: damaged on its way (Content-MD5)", again=True)

    def _as_kept(self, meta: _Meta) -> Downloaded:
        return Downloaded(self.folder / meta.file, meta.sha256)


def _read_meta(folder: Path) -> _Meta | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        meta = msgspec.json.decode((folder / "meta.json").read_bytes(), type=_Meta)
        if (folder / meta.file).stat().st_size == meta.size:
            return meta
    return None


def _validator(answer: Answer) -> str:
    if answer.status != 206 and answer.header("Accept-Ranges").lower() != "bytes":
        return ""
    etag = answer.header("ETag")
    return "" if etag.startswith("W/") else etag or answer.header("Last-Modified")


# Suffixes matter to what comes next (.pb, .txt), so the file keeps its name as far as possible.
def _file_name(answer: Answer, url: str) -> str:
    names = [answer.headers.get_filename() or ""]
    names += [urllib.parse.unquote(urllib.parse.urlsplit(one).path) for one in (url, answer.url)]
    clean = [re.sub(r"[^\w.+-]", "_", name.rpartition("/")[2]).lstrip(".") for name in names]
    best = next((name for name in clean if "." in name), "") or next(filter(None, clean), "content")
    return best[-_NAME_CHARS_MAX:].lstrip(".")


def _prune(folder: Path, current: str) -> None:
    others = [path for path in folder.iterdir() if path.name not in (current, "meta.json")]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[_KEPT_VERSIONS - 1 :]:
        cache.remove(path)
