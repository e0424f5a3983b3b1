"""TLS for the ports: a server's context from PEM texts."""

from __future__ import annotations

import os
import ssl

from eas_processor.errors import ConfigError


def context(
    key: bytes, certificate: bytes, client_ca: bytes | None = None, *, protocol: str = "http/1.1"
) -> ssl.SSLContext:
    """For TLS 1.2 and later. client_ca: who signs clients' certificates; then they must show one.

    protocol: by its name in ALPN.

    Raises ConfigError if a text is no PEM or the key is not the certificate's.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols([protocol])
    try:
        _load(made, certificate + b"\n" + key)
        if client_ca is not None:
            made.load_verify_locations(cadata=client_ca.decode("ascii"))
            made.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, ValueError) as error:
        words = getattr(error, "reason", None) or str(error)
        raise ConfigError(f"TLS: key, certificate or client CA can not be used: {words}") from None
    return made


def _load(made: ssl.SSLContext, pem: bytes) -> None:
    """The key as a file that nobody else can read: the library takes a path and nothing else."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        made.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    finally:
        os.close(descriptor)


def _no_password() -> bytes:
    raise ValueError("the key has a password; take it away with `openssl pkey`")
