# SPDX-License-Identifier: Apache-2.0
"""KVM is tried when it may work, and a failure is remembered until the host boots again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.targets.accel import AccelMemory
from nullmodem.targets.spec import Accel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def memory(tmp_path: Path) -> AccelMemory:
    kvm = tmp_path / "kvm"
    kvm.touch()
    return AccelMemory(tmp_path / "cache", kvm)


def test_kvm_is_tried_first_and_emulation_after_it(memory: AccelMemory) -> None:
    assert memory.candidates(Accel.AUTO) == (Accel.KVM, Accel.TCG)


def test_without_kvm_it_is_not_tried(tmp_path: Path) -> None:
    assert AccelMemory(tmp_path, tmp_path / "none").candidates(Accel.AUTO) == (Accel.TCG,)


@pytest.mark.parametrize("accel", [Accel.KVM, Accel.TCG])
def test_what_is_asked_for_is_what_is_tried(memory: AccelMemory, accel: Accel) -> None:
    memory.remember_failure()
    assert memory.candidates(accel) == (accel,)


def test_a_failure_is_remembered(memory: AccelMemory) -> None:
    memory.remember_failure()
    assert memory.candidates(Accel.AUTO) == (Accel.TCG,)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"boot_id": "another", "kvm": false}', b"\xff"])
def test_what_another_boot_or_nobody_wrote_means_nothing(memory: AccelMemory, content: bytes) -> None:
    assert memory.directory is not None
    memory.directory.mkdir()
    (memory.directory / "accel.json").write_bytes(content)
    assert memory.candidates(Accel.AUTO) == (Accel.KVM, Accel.TCG)


def test_without_a_cache_nothing_is_remembered_and_nothing_fails(memory: AccelMemory, tmp_path: Path) -> None:
    forgetful = AccelMemory(None, memory.kvm)
    forgetful.remember_failure()
    assert forgetful.candidates(Accel.AUTO) == (Accel.KVM, Accel.TCG)
    (tmp_path / "file").touch()
    AccelMemory(tmp_path / "file", memory.kvm).remember_failure()


def test_remembering_leaves_one_file(memory: AccelMemory) -> None:
    memory.remember_failure()
    memory.remember_failure()
    assert memory.directory is not None
    assert [path.name for path in memory.directory.iterdir()] == ["accel.json"]
