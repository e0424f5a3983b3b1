"""One HTTP request, with its timeouts, its redirects, and every failure put into words.

Proxies are taken from the environment. A redirect never leads from https to http, and a password
never follows one to another host. Passwords and signatures in a URL never reach a message.
"""

import base64
import contextlib
import http.client
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email.message import Message
from typing import IO

import msgspec

from eas_processor.store.settings import FetchSettings

REDIRECTS_MAX = 5
_SAFE_IN_URL = "%/:=&?~#+!$,;'@()*[]"
_AGAIN = (408, 425, 429, 500, 502, 503, 504)


class Trouble(Exception):
    """A request that failed. `again`: it may work later; `user`: what the user wrote is wrong."""

    def __init__(self, message: str, *, again: bool, user: bool = False) -> None:
        super().__init__(message)
        self.again = again
        self.user = user


class Answer(msgspec.Struct, frozen=True):
    """A response whose body is still to be read; none for a 304."""

    status: int
    headers: Message
    url: str
    body: http.client.HTTPResponse | None

    def header(self, name: str) -> str:
        """A header's text, empty if it is not there."""
        return str(self.headers.get(name, "")).strip()

    def read(self, size: int) -> bytes:
        """What has arrived, at most `size` bytes; none at the end."""
        try:
            return self.body.read1(size) if self.body is not None else b""
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(f"the connection broke ({_reason(error)})", again=True) from error


def shown(url: str) -> str:
    """A URL as it may be printed: without user, password and query."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Transport:
    """Opens one URL, as often as needed."""

    def __init__(self, url: str, settings: FetchSettings) -> None:
        self._shown = shown(url)
        self._timeout_s = settings.connect_timeout_s
        parts = urllib.parse.urlsplit(url)
        user, has_user, host = parts.netloc.rpartition("@")
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "eas-processor"}
        if has_user:
            plain = urllib.parse.unquote(user).encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(plain).decode()}"
        address = urllib.parse.urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        self._url = urllib.parse.quote(address, safe=_SAFE_IN_URL)
        self._opener = _opener(settings.read_timeout_s)

    @contextlib.contextmanager
    def open(self, headers: dict[str, str]) -> Iterator[Answer]:
        """GET; 200, 206 and 304 are answers, all else is Trouble."""
        try:
            request = urllib.request.Request(self._url, headers={**self._headers, **headers})
            response = self._opener.open(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    yield Answer(304, error.headers, error.url or "", None)
                    return
                raise self._refused(error.code) from error
        except urllib.error.URLError as error:
            inner = error.reason if isinstance(error.reason, Exception) else error
            raise self._unreachable(inner) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from error
        with response:
            if response.status not in (200, 206):
                raise self._refused(response.status)
            yield Answer(response.status, response.headers, response.url, response)

    def _refused(self, status: int) -> Trouble:
        where = f"{self._shown}: the server answers {status}"
        if status in (401, 403):
            return Trouble(
                f"{where}, access denied; use a signed link that has not expired, or download the "
                "file and give its local path",
                again=False, user=True,
            )  # fmt: skip
        if status in (404, 410):
            return Trouble(
                f"{where}, there is no such file; check the path", again=False, user=True
            )
        if status in _AGAIN:
            return Trouble(where, again=True)
        if 300 <= status < 400:
            return Trouble(f"{where} and the redirect can not be followed", again=False, user=True)
        return Trouble(where, again=False, user=True)

    def _unreachable(self, error: Exception) -> Trouble:
        where = f"{self._shown}: "
        if isinstance(error, ssl.SSLCertVerificationError):
            return Trouble(
                f"{where}the server's certificate is not trusted ({error.verify_message}); "
                "SSL_CERT_FILE names your own authorities",
                again=False, user=True,
            )  # fmt: skip
        if isinstance(error, http.client.InvalidURL | ValueError):
            return Trouble(f"{where}not a URL that can be opened ({error})", again=False, user=True)
        if isinstance(error, socket.gaierror):
            return Trouble(f"{where}the host name can not be found", again=True)
        return Trouble(f"{where}the server can not be reached ({_reason(error)})", again=True)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it fell silent"
    if isinstance(error, http.client.IncompleteRead):
        return "it ended too early"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _opener(read_timeout_s: float) -> urllib.request.OpenerDirector:
    # The timeout of the request bounds connecting and the TLS handshake; then comes this one.
    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(read_timeout_s)

    class Secure(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(read_timeout_s)

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Secure, req)

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        PlainHandler(),
        SecureHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirect(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirect(urllib.request.HTTPRedirectHandler):
    max_redirections = REDIRECTS_MAX

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: http.client.HTTPMessage, newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        target = urllib.parse.urlsplit(newurl)
        if target.scheme != "https" and req.type == "https":
            return None
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and new.host != req.host:
            new.remove_header("Authorization")
        return new
