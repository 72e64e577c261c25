# SPDX-License-Identifier: Apache-2.0
"""Two hosts with a network between them, each in a network namespace of its own: a line, and one that is pulled out."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import WireError
from nullmodem.waiting import wait_readable
from nullmodem.wire.opening import open_wire
from nullmodem.wire.spec import parse_wire
from support.lines import program, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator

# 198.18.0.0/15 is for tests of networks (RFC 2544): nobody's own address.
NEAR, FAR, PORT = "198.18.77.1", "198.18.77.2", 2001


def ip(*words: str, check: bool = True) -> int:
    return subprocess.run([program("ip"), *words], check=check, capture_output=True).returncode


@dataclass
class Hosts:
    """This host has ``NEAR``; the other one, ``FAR``, is the namespace ``name``."""

    name: str
    far_end: str

    def there(self, *command: str) -> list[str]:
        """A command line that runs on the other host."""
        return [program("ip"), "netns", "exec", self.name, *command]

    def pull_the_cable(self) -> None:
        """At the other host: here it would only make the way to it another one."""
        ip("-n", self.name, "link", "set", self.far_end, "down")


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    name, cable = f"nm-{os.getpid()}", f"nm{os.getpid() % 100000}a"
    other = cable.removesuffix("a") + "b"
    if os.getuid() != 0 or shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin") is None:
        pytest.skip("only root can make a network")
    if ip("netns", "add", name, check=False):
        pytest.skip("this machine does not let a network be made")
    try:
        ip("link", "add", cable, "type", "veth", "peer", "name", other, "netns", name)
        ip("addr", "add", f"{NEAR}/30", "dev", cable)
        ip("link", "set", cable, "up")
        ip("-n", name, "addr", "add", f"{FAR}/30", "dev", other)
        ip("-n", name, "link", "set", other, "up")
        yield Hosts(name, other)
    finally:
        ip("netns", "del", name)
        ip("link", "del", cable, check=False)


def test_a_line_to_another_host_carries_bytes_and_a_pulled_cable_is_an_error_in_time(hosts: Hosts) -> None:
    server = hosts.there(program("socat"), f"TCP-LISTEN:{PORT},fork,reuseaddr", "EXEC:cat")
    listening = hosts.there("grep", "-q", f":{PORT:04X} 00000000:0000 0A", "/proc/net/tcp")
    wire = parse_wire(f"tcp:{FAR}:{PORT}")
    with running(*server):
        until(lambda: subprocess.run(listening, check=False).returncode == 0, "socat listens")
        with contextlib.closing(open_wire(wire)) as line:
            line.write(b"$g#67")
            echoed = b""
            while len(echoed) < 5:
                assert wait_readable([line], 10)
                echoed += line.read() or b""
            assert echoed == b"$g#67"
        hosts.pull_the_cable()
        began = time.monotonic()
        with pytest.raises(WireError, match=rf"cannot connect to tcp:{FAR}:{PORT}"):
            open_wire(wire)
        assert time.monotonic() - began < 7
