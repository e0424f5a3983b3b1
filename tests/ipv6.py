"""What this machine has of IPv6."""

import socket

import pytest


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def addresses_of_localhost() -> set[str]:
    found = socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)
    return {str(address[0]) for *_, address in found}


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
