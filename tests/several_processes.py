"""A host of several processes under test, and which of them a connection has reached."""

import http.client
import os
import re
import threading
from collections import Counter
from pathlib import Path

from tests.serving_process import Serving

PROCESSES = 3
PUPPET = {"name": "puppet", "processor": "puppet", "metadata": {"instance": 1}}
PATH = "/api/predict/puppet"


class Host(Serving):
    """A real `eas-processor serve --host-processes 3`. `pids`: process 1's, then the fronts'."""

    def __init__(self, folder, *services, args=(), **more):
        self._connections = []
        args = ("--host-processes", str(PROCESSES), *args)
        super().__init__(folder, *services, args=args, **more)

    def __enter__(self):
        super().__enter__()
        self.wait_complete()
        return self

    @property
    def pids(self):
        return [self.process.pid, *self.fronts()]

    def children(self):
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def fronts(self):
        def is_front(pid):
            return b"eas_processor/fronts" in command_line(pid)

        return [pid for pid in self.children() if is_front(pid)]

    def wait_complete(self):
        """Until all processes listen."""
        self.until(lambda: len(listening_on(self.port)) == PROCESSES, 60)

    def end(self):
        super().end()
        for connection in self._connections:
            connection.close()

    def metric(self, name, **labels):
        """One value of the page of metrics."""
        return metric(self.ask("GET", "/metrics")[1], name, **labels)

    def connect_to(self, pid):
        """A connection that the process of that id has accepted."""
        for _ in range(400):
            connection = self.connect()
            self._connections.append(connection)
            connection.connect()
            if self.accepted_by(connection) == pid:
                return connection
            connection.close()
        raise AssertionError(f"{pid} accepts no connection; log:\n{self.log}")

    def accepted_by(self, connection):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
        port = connection.sock.getsockname()[1]
        inode = next(i for local, remote, i in sockets() if (local, remote) == (self.port, port))
        return next(pid for pid in self.pids if inode in inodes(pid))

    def ask_over(self, connection, body, path=PATH):
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def pages(self, *paths):
        """Each different (path, status, Content-Type, body) that any of the processes answers."""
        found = set()
        for pid in self.pids:
            connection = self.connect_to(pid)
            for path in paths:
                connection.request("GET", path)
                answer = connection.getresponse()
                found.add((path, answer.status, answer.headers["Content-Type"], answer.read()))
        return found


def sockets():
    """(local port, remote port, inode) of each TCP socket; gRPC's are of IPv6 for IPv4, too."""
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    lines = [line for table in tables if table.exists() for line in table.read_text().splitlines()]
    for line in lines:
        fields = line.split()
        if fields[0] == "sl":
            continue
        local, remote = (int(field.rpartition(":")[2], 16) for field in fields[1:3])
        yield local, remote, fields[9]


def listening_on(port):
    return [inode for local, remote, inode in sockets() if (local, remote) == (port, 0)]


def inodes(pid):
    """Of the sockets of a process."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        found.update(re.findall(r"socket:\[(\d+)\]", target))
    return found


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def metric(page, name, **labels):
    """The value of one row of a page of metrics."""
    for line in page.decode().splitlines():
        found, _, value = line.rpartition(" ")
        if found.partition("{")[0] != name:
            continue
        if all(f'{label}="{text}"' in found for label, text in labels.items()):
            return float(value)
    return 0.0


class Load:
    """Clients that keep asking over connections of their own, each to a process of its own."""

    def __init__(self, host, pids, body=b"echo x"):
        self.answers = Counter()
        self.failures = Counter()
        self._stop = threading.Event()
        connections = [(pid, host.connect_to(pid)) for pid in pids]
        self._threads = [
            threading.Thread(target=self._run, args=(host, pid, connection, body))
            for pid, connection in connections
        ]

    def _run(self, host, pid, connection, body):
        while not self._stop.is_set():
            try:
                self.answers[pid, host.ask_over(connection, body)] += 1
            except (OSError, http.client.HTTPException):
                self.failures[pid] += 1
                return

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
