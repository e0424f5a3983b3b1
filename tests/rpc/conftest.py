"""What tests with grpcio's clients leave behind."""

import pytest

from tests.rpc.fakes import forget_clients


@pytest.fixture(autouse=True, scope="module")
def _no_clients_left():
    yield
    forget_clients()
