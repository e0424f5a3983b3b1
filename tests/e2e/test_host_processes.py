"""A host of several processes: one port, one set of workers, bounds for all together."""

import gzip
import hashlib
import http.client
import json
import os
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from eas_processor.http.sockets import shown
from tests.ipv6 import addresses_of_localhost, needs_ipv6
from tests.serving_process import Serving
from tests.several_processes import PATH, PROCESSES, PUPPET, Host, Load, listening_on, metric


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with Host(tmp_path_factory.mktemp("processes"), PUPPET) as host:
        yield host


def test_each_process_answers_with_the_same_worker(host):
    assert len(host.pids) == PROCESSES
    workers = {host.ask_over(host.connect_to(pid), b"pid") for pid in host.pids}
    assert len(workers) == 1 and workers.pop()[0] == 200


def test_each_process_tells_of_the_whole_host_in_every_dialect(host):
    pages = host.pages("/readyz", "/v1/models/puppet", "/nothing/here")
    assert len(pages) == 3
    assert ("/readyz", 200, "text/plain; charset=utf-8", b"puppet: ready\n") in pages


def test_requests_are_counted_exactly_wherever_they_came(host):
    def counted():
        page = host.ask("GET", "/metrics")[1]
        return Counter(
            requests=metric(page, "eas_requests_total", dialect="eas", code=200),
            runs=metric(page, "eas_run_seconds_count", dialect="eas"),
            batches=metric(page, "eas_batch_size_count"),
        )

    before = counted()
    for number, pid in enumerate(host.pids):
        connection = host.connect_to(pid)
        for _ in range(7 + number):
            assert host.ask_over(connection, b"echo x") == (200, b"x")
    more = counted() - before
    assert more == {"requests": 24, "runs": 24, "batches": 24}


def test_what_runs_is_told_in_total_wherever_one_asks(host):
    with ThreadPoolExecutor(PROCESSES) as threads:
        calls = [
            threads.submit(host.ask_over, host.connect_to(pid), b"sleep 1") for pid in host.pids
        ]
        for pid in host.pids:
            connection = host.connect_to(pid)

            def running(connection=connection):
                connection.request("GET", "/metrics")
                return metric(connection.getresponse().read(), "eas_in_flight_requests")

            host.until(lambda: running() == PROCESSES or all(call.done() for call in calls))
            assert running() == PROCESSES or all(call.done() for call in calls)
        assert {call.result() for call in calls} == {(200, b"slept")}


def test_large_bodies_reach_the_worker_from_every_process(host):
    for pid in host.pids * 2:
        body = os.urandom(3 << 20)
        digest = hashlib.sha256(body).hexdigest().encode()
        assert host.ask_over(host.connect_to(pid), b"sum " + body) == (200, digest)


def test_a_packed_body_is_unpacked_once_also_in_a_dialect_of_process_1(host):
    body = gzip.compress(b'{"instances": [1]}')
    answers = set()
    for pid in host.pids:
        connection = host.connect_to(pid)
        connection.request("POST", "/v1/models/puppet:predict", body, {"Content-Encoding": "gzip"})
        answer = connection.getresponse()
        answers.add((answer.status, answer.read()))
    assert len(answers) == 1


def test_the_port_is_not_shared_with_another_host(host, tmp_path):
    other = Host(tmp_path, PUPPET, args=("--port", str(host.port)))
    assert other.process.wait(60) == 3
    assert f"cannot listen on 127.0.0.1:{host.port}" in other.log


@needs_ipv6
@pytest.mark.parametrize("address", ["::", "localhost"])
def test_all_processes_listen_on_both_families(tmp_path, address):
    with Serving(tmp_path, PUPPET, args=("--host", address, "--host-processes", "2")) as host:
        assert f"listening on http://{shown(address)}:{host.port}" in host.log
        sockets = 2 * (1 if address == "::" else len(addresses_of_localhost()))
        host.until(lambda: len(listening_on(host.port)) == sockets)
        for one in ("127.0.0.1", "::1")[: len(addresses_of_localhost())]:
            connection = http.client.HTTPConnection(one, host.port, timeout=30)
            connection.request("POST", PATH, b"echo x")
            assert connection.getresponse().status == 200
            connection.close()


def at_once(host, pids, body, each):
    """The answers to so many requests sent side by side to each process."""
    connections = [host.connect_to(pid) for pid in pids for _ in range(each)]
    with ThreadPoolExecutor(len(connections)) as threads:
        return list(threads.map(lambda connection: host.ask_over(connection, body), connections))


def test_the_queues_bound_holds_for_all_processes_together(tmp_path):
    rpc = {"worker_threads": 2, "max_queue_size": 4, "keepalive": 20000}
    with Host(tmp_path, {**PUPPET, "metadata": {"instance": 1, "rpc": rpc}}) as host:
        for _ in range(9):  # the worker learns that calls are long
            host.predict(b"sleep 0.01")
        answers = Counter(status for status, _ in at_once(host, host.pids, b"sleep 1", 8))
        # Two run and four wait; a process may always have one call at the worker.
        assert 6 <= answers[200] <= 6 + PROCESSES
        assert answers[450] == 24 - answers[200]
        assert host.predict(b"echo x") == (200, b"x")


def test_one_process_alone_may_use_the_whole_of_worker_and_queue(tmp_path):
    rpc = {"worker_threads": 2, "max_queue_size": 4, "keepalive": 20000}
    with Host(tmp_path, {**PUPPET, "metadata": {"instance": 1, "rpc": rpc}}) as host:
        for _ in range(9):
            host.predict(b"sleep 0.01")
        for pid in host.pids:
            answers = Counter(status for status, _ in at_once(host, [pid], b"sleep 0.5", 8))
            assert answers == {200: 6, 450: 2}


def test_the_rate_limit_holds_for_all_processes_together(tmp_path):
    rate = 50
    service = {**PUPPET, "metadata": {"instance": 1, "rpc": {"rate_limit": rate}}}
    with Host(tmp_path, service) as host:
        started = time.monotonic()
        with Load(host, host.pids) as load:
            host.until(lambda: sum(load.answers.values()) and time.monotonic() > started + 2)
        passed_s = time.monotonic() - started
        by_status = Counter()
        for (pid, (status, _)), count in load.answers.items():
            by_status[status, pid] += count
        let_through = sum(count for (status, _), count in by_status.items() if status == 200)
        assert let_through <= rate * (passed_s + 1) * 1.1
        assert let_through >= rate * 2 * 0.9
        assert all(by_status[429, pid] for pid in host.pids)


def test_one_process_alone_may_use_the_whole_rate(tmp_path):
    service = {**PUPPET, "metadata": {"instance": 1, "rpc": {"rate_limit": 40}}}
    with Host(tmp_path, service) as host:
        connection = host.connect_to(host.pids[-1])
        statuses = [host.ask_over(connection, b"echo x")[0] for _ in range(40)]
        assert set(statuses) == {200}


def test_a_request_that_takes_too_long_is_a_408_in_every_process(tmp_path):
    service = {**PUPPET, "metadata": {"instance": 1, "rpc": {"keepalive": 300}}}
    with Host(tmp_path, service) as host:
        for pid in host.pids:
            assert host.ask_over(host.connect_to(pid), b"sleep 2")[0] == 408


def test_each_process_writes_to_the_access_log(tmp_path):
    target = tmp_path / "access.log"
    with Host(tmp_path, PUPPET, args=("--access-log", str(target))) as host:
        for pid in host.pids:
            connection = host.connect_to(pid)
            connection.request("POST", PATH, b"echo x", {"X-Request-Id": f"of-{pid}"})
            assert connection.getresponse().read() == b"x"
        pids = host.pids
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    told = {line.get("request_id"): line.get("service") for line in lines}
    assert all(told[f"of-{pid}"] == "puppet" for pid in pids)


def test_a_client_that_leaves_a_dialect_of_process_1_harms_nobody(tmp_path):
    with Host(tmp_path, PUPPET) as host:
        front = host.pids[-1]
        for _ in range(5):
            connection = host.connect_to(front)
            connection.request("GET", "/metrics")
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        assert host.ask_over(host.connect_to(front), b"echo x") == (200, b"x")
        assert "Traceback" not in host.log
