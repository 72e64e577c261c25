# SPDX-License-Identifier: Apache-2.0
"""Modules of the kernel's own source, with those they depend on, from init into an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.one_pair]


def test_a_block_driver_is_debugged_from_init_into_a_request(shared_bench: Bench) -> None:
    bench = shared_bench
    gdb = bench.gdb()
    gdb("break null_init")
    stopped, insmod = bench.load(gdb, "null_blk")
    assert "null_init () at" in stopped
    assert "null_blk/main.c" in stopped
    libraries = gdb("info sharedlibrary")
    assert "configfs.ko" in libraries
    assert "null_blk.ko" in libraries
    gdb("next")
    bench.finish(gdb, insmod)
    bench.interrupt(gdb)
    gdb("break null_queue_rq")
    reading = bench.start(gdb, "dd if=/dev/nullb0 of=/dev/null bs=4k count=1 2>/dev/null")
    said = gdb.wait()
    assert "null_queue_rq (hctx=" in said
    assert "= " in gdb("print hctx->queue_num")
    assert "null_queue_rq" in gdb("next") + gdb("frame")
    assert "Run till exit" in gdb("finish")
    gdb("delete")
    bench.finish(gdb, reading)
    bench.interrupt(gdb)
    gdb("detach")
    bench.sh("rmmod null_blk configfs")


def test_a_network_driver_is_debugged_with_what_it_needs(shared_bench: Bench) -> None:
    bench = shared_bench
    gdb = bench.gdb()
    gdb("break br_init")
    stopped, insmod = bench.load(gdb, "bridge")
    assert "br_init () at" in stopped
    assert {"bridge", "stp", "llc"} <= {module.name for module in bench.machine.live.modules()}
    gdb("next")
    bench.finish(gdb, insmod)
    bench.interrupt(gdb)
    gdb("break br_dev_setup")
    adding = bench.start(gdb, "brctl addbr br0")
    said = gdb.wait()
    assert "br_dev_setup (dev=" in said
    assert "net_bridge" in gdb("whatis br") + gdb("info locals") + gdb("ptype struct net_bridge")
    gdb("next")
    gdb("delete")
    bench.finish(gdb, adding)
    bench.interrupt(gdb)
    gdb("detach")
    assert "br0" in bench.sh("ip link")
    bench.sh("brctl delbr br0; rmmod bridge stp llc")
