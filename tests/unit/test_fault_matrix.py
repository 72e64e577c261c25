# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a debugger and a kernel, what is promised for it, and the tests that hold the promise.

``LINE``: on a modelled line or a fake kernel. ``KERNEL``: on a real one. A row is kept true by its tests being there
and run; a promise that is not kept is an expected failure with its reason.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


class Place(Enum):
    """Where a row is tested."""

    LINE = "on a modelled line or a fake kernel"
    KERNEL = "on a real kernel"


@dataclass(frozen=True)
class Row:
    """One fault. ``tests`` are ``file::test`` under tests/, by where they run; ``gap`` says what is not kept."""

    fault: str
    promise: str
    tests: dict[Place, tuple[str, ...]]
    gap: str = ""


LINE, KERNEL = Place.LINE, Place.KERNEL

MATRIX = (
    Row(
        "a byte is dropped, flipped, doubled or inserted, or many in a row are lost",
        "rejected or asked for again; the same final answers; bounded tries; nothing that acts is done twice",
        {
            LINE: (
                "fuzz/test_session_faults.py::test_no_fault_changes_what_a_session_answers_or_does",
                "fuzz/test_session_faults.py::test_no_fault_anywhere_changes_what_a_session_answers_or_does",
                "fuzz/test_session_faults.py::test_a_noisy_line_at_115200_baud_changes_nothing",
                "fuzz/test_session_faults.py::test_a_burst_that_is_lost_on_its_way_there_changes_nothing",
                "fuzz/test_session_faults.py::test_a_burst_that_is_lost_on_its_way_here_has_nothing_run_twice",
                "fuzz/test_recorded_faults.py::test_no_fault_in_what_a_real_kernel_said_changes_anything",
                "fuzz/test_faulty_line.py::test_no_fault_on_its_way_out_harms",
                "fuzz/test_faulty_line.py::test_no_fault_on_its_way_in_harms",
            ),
            KERNEL: ("vm/test_noise.py::test_the_main_job_passes_on_a_line_with_one_byte_in_five_thousand_wrong",),
        },
    ),
    Row(
        "an acknowledgement is lost, in either direction",
        "sent again; a reply that comes twice is dropped",
        {
            LINE: (
                "unit/rsp/test_client_noise.py::test_a_reply_whose_ack_was_lost_is_a_reply",
                "unit/rsp/test_client_noise.py::test_an_equal_reply_whose_ack_was_lost_is_had_by_asking_again",
                "unit/rsp/test_client_noise.py::test_a_stop_equal_to_the_last_whose_ack_was_lost_is_had_by_asking_again",
                "unit/stub/test_client.py::test_a_target_that_did_not_take_the_resume_is_asked_and_resumed_again",
            )
        },
    ),
    Row(
        "half a packet, then silence",
        "a deadline from rate and length; reads are retried, what acts never blindly",
        {
            LINE: (
                "fuzz/test_line_faults.py::test_half_a_reply_and_silence_cost_one_deadline",
                "fuzz/test_line_faults.py::test_half_a_stop_and_silence_cost_one_deadline_and_no_second_continue",
                "fuzz/test_line_faults.py::test_a_deadline_grows_with_what_travels_at_the_lines_rate",
                "fuzz/test_line_faults.py::test_a_line_that_stays_silent_is_given_up_in_time_and_what_acts_was_sent_once",
            )
        },
    ),
    Row(
        "a packet that is too long, or never ends",
        "bounded memory; the next packet is read",
        {LINE: ("fuzz/test_line_faults.py::test_a_packet_without_an_end_is_bounded_and_the_next_one_is_read",)},
    ),
    Row(
        "kernel text around packets, and text that looks like one",
        "the console's text is whole; a packet is taken where one is due, and nowhere else",
        {
            LINE: (
                "fuzz/test_line_faults.py::test_text_around_packets_is_kept_whole_and_in_order",
                "fuzz/test_line_faults.py::test_a_packet_in_the_text_of_a_running_kernel_is_no_stop",
                "unit/wire/test_splitter.py::test_text_out_is_text_in_and_the_packets_are_the_stubs",
                "unit/wire/test_splitter.py::test_nothing_that_is_printed_stops_a_debugger",
            ),
            KERNEL: ("vm/test_attach.py::test_what_is_printed_arrives_whole_and_fools_nobody_while_breakpoints_hit",),
        },
    ),
    Row(
        "the stub's FIFO overruns while it transmits",
        "requests are not sent ahead of their answers, so none is lost",
        {
            LINE: (
                "unit/testing/test_line.py::test_a_stub_that_transmits_loses_what_its_fifo_cannot_keep",
                "fuzz/test_line_faults.py::test_a_session_at_115200_baud_overruns_no_fifo",
            )
        },
    ),
    Row(
        "gdb is killed while the target runs with its breakpoints",
        "the session keeps the line; the policy decides; the machine is never left frozen without a word",
        {
            LINE: (
                "unit/frontends/gdb/test_several.py::test_a_gdb_that_vanishes_while_it_runs_leaves_no_breakpoint_that_stops_it",
                "unit/frontends/gdb/test_several.py::test_the_last_to_vanish_lets_it_run_and_that_is_said",
                "unit/frontends/gdb/test_several.py::test_with_the_policy_to_hold_it_stays_and_that_is_said",
            ),
            KERNEL: (
                "vm/test_vanishing.py::test_killed_while_the_target_runs_with_its_breakpoints",
                "vm/test_vanishing.py::test_killed_at_a_breakpoint",
            ),
        },
    ),
    Row(
        "the session is killed while the target is stopped",
        "the next one finds it stopped and frees it, or hands it over",
        {
            KERNEL: (
                "vm/test_recover.py::test_a_machine_left_at_a_breakpoint_goes_on_from_the_instruction_it_stood_at",
                "vm/test_recover.py::test_a_machine_left_in_the_middle_of_stepping_is_not_set_back",
                "vm/test_recover.py::test_a_recovered_machine_is_handed_to_a_gdb",
                "vm/test_recover.py::test_an_attached_session_that_is_killed_is_recovered_by_the_ways_it_had",
            ),
            LINE: (
                "fuzz/test_line_faults.py::test_a_cable_that_changes_hands_in_the_middle_of_a_packet_is_understood",
            ),
        },
    ),
    Row(
        "the session is killed while the target runs with breakpoints",
        "the next one takes its stop when it comes, and clears what was armed",
        {
            KERNEL: (
                "vm/test_recover.py::test_a_machine_left_running_that_froze_at_a_breakpoint_is_freed",
                "vm/test_recover.py::test_a_machine_left_running_is_stopped_from_outside_and_freed",
                "vm/test_recover.py::test_a_machine_that_runs_and_that_nothing_stops_is_reported_and_kept_for_the_next_try",
            ),
            LINE: (
                "unit/stub/test_client.py::test_a_stop_on_its_way_is_not_taken_for_the_answer_that_drops_all_breakpoints",
            ),
        },
    ),
    Row(
        "the target reboots and says so, or ends",
        "the session ends cleanly, and says why",
        {
            LINE: ("fuzz/test_line_faults.py::test_a_reboot_that_is_announced_ends_the_line",),
            KERNEL: (
                "vm/test_cli_ends.py::test_a_machine_that_dies_ends_the_session_with_the_reason",
                "vm/test_qemu_target.py::test_an_end_from_inside_is_told_to_everybody",
            ),
        },
    ),
    Row(
        "the target resets without a word",
        "the next break-in notices: the session ends, says why, and leaves the new boot running and unarmed",
        {
            LINE: (
                "unit/session/test_reboot.py::test_a_target_that_stands_and_has_forgotten_the_session_has_rebooted",
            ),
            KERNEL: (
                "vm/test_reboot.py::test_a_reset_is_noticed_and_the_new_boot_is_attached_to_like_any_other",
                "vm/test_reboot.py::test_a_reset_is_noticed_on_the_line_that_the_console_shares",
            ),
        },
    ),
    Row(
        "the line is unplugged",
        "an error at once; nothing waits",
        {
            LINE: (
                "fuzz/test_line_faults.py::test_an_unplugged_line_is_an_error_at_once",
                "unit/session/test_live.py::test_a_lost_target_is_told_at_once_by_everything_that_needs_it",
                "unit/session/test_reconnection.py::test_a_line_that_does_not_come_back_ends_the_session_in_the_time_that_was_said",
            )
        },
    ),
    Row(
        "the line is plugged in again",
        "connected again within two seconds; what became of the target is found out, and nothing is sent twice",
        {
            LINE: (
                "unit/session/test_reconnection.py::test_a_stop_that_nobody_heard_is_heard_when_the_line_is_back",
                "unit/session/test_reconnection.py::test_a_target_that_stood_stands_and_what_gdb_has_set_in_it_is_kept",
                "unit/session/test_reconnection.py::test_a_continue_that_did_not_get_there_is_not_sent_again_and_that_is_shown",
                "unit/session/test_reconnection.py::test_a_continue_that_got_there_is_not_sent_again",
                "unit/session/test_reconnection.py::test_a_target_that_rebooted_while_it_ran_is_noticed_and_left_running",
                "unit/api/test_lines.py::test_a_terminal_that_goes_away_is_opened_again_where_it_was",
                "unit/api/test_lines.py::test_a_ser2net_that_is_ended_and_started_again_is_connected_to_again",
            ),
            KERNEL: ("vm/test_reconnect.py::test_gdb_and_its_breakpoints_outlive_the_line",),
        },
    ),
    Row(
        "a module is unloaded, or its init ends, with a breakpoint in it",
        "the breakpoint is out before the memory is freed",
        {
            KERNEL: (
                "vm/test_no_bytes_left.py::test_a_modules_memory_holds_the_breakpoints_that_are_set_and_no_other_byte_of_them",
                "vm/test_no_bytes_left.py::test_ten_loads_stop_thirty_times_and_leave_nothing_open",
            ),
            LINE: ("unit/frontends/gdb/test_module_news.py::test_breakpoints_go_with_the_memory_they_are_in",),
        },
    ),
    Row(
        "a breakpoint in freed code, in data, in code of the debugger's own",
        "refused with the reason",
        {KERNEL: ("vm/test_breakpoints.py::test_a_breakpoint_where_none_may_be_is_not_set_and_harms_nobody",)},
    ),
    Row(
        "a module is loaded again somewhere else",
        "breakpoints follow; the old address is never armed",
        {
            KERNEL: (
                "vm/test_reload.py::test_a_rebuilt_module_is_stopped_in_where_its_functions_are_now",
                "vm/test_reload.py::test_a_module_loaded_at_another_address_is_stopped_in_there",
            )
        },
    ),
    Row(
        "a processor does not stop with the others",
        "shown as not stopped, with no registers of an earlier stop, and a warning",
        {
            LINE: (
                "unit/session/test_round_up.py::test_it_is_shown_as_running_its_registers_are_refused_and_that_is_said_once",
                "unit/session/test_round_up.py::test_gdb_is_told_that_nothing_of_it_is_known",
            ),
            KERNEL: ("vm/test_smp.py::test_a_processor_that_does_not_stop_is_shown_as_one_and_with_no_registers",),
        },
    ),
    Row(
        "somebody wants the running target stopped",
        "it stops where it was, and a way that does not work is told",
        {
            KERNEL: (
                "vm/test_interrupt.py::test_ctrl_c_in_a_looping_module_lands_in_the_loop_and_stepping_goes_on_from_there",
                "vm/test_qemu_target.py::test_break_in_stops_the_kernel_fifty_times_out_of_fifty",
                "vm/test_attach.py::test_a_kernel_that_forbids_the_key_is_reported_with_its_own_reason",
            ),
            LINE: (
                "unit/session/test_live.py::test_a_break_in_that_fails_is_told_and_the_next_may_succeed",
                "unit/targets/test_break_in.py::test_when_none_works_the_error_says_what_was_tried_and_how_to_enable_one",
            ),
        },
    ),
    Row(
        "another processor meets the temporary breakpoint first",
        "it is taken over it, and the step goes on",
        {
            LINE: (
                "unit/session/test_running.py::test_another_thread_in_the_temporary_breakpoint_is_taken_over_it",
                "unit/session/test_running_properties.py::test_several_processors_do_what_they_would_have_done_undebugged",
            ),
        },
    ),
    Row(
        "the kernel patches code that is being stepped through",
        "live bytes decide; no step runs away",
        {
            LINE: (
                "unit/session/test_running.py::test_what_a_static_key_patches_between_two_moves_is_seen",
                "unit/session/test_running.py::test_a_jump_that_became_a_nop_is_not_taken",
            )
        },
    ),
    Row(
        "the target stands still for a minute",
        "it goes on without a complaint of its watchdogs",
        {KERNEL: ("vm/test_long_stop.py::test_a_minute_at_a_stop_leaves_no_complaint_in_the_kernels_log",)},
    ),
    Row(
        "a breakpoint is compiled into the code",
        "shown as one, and gone on behind",
        {
            KERNEL: (
                "vm/test_compiled_in.py::test_they_stop_on_their_line_and_the_machine_goes_on_behind_them",
                "vm/test_compiled_in.py::test_a_breakpoint_on_a_trap_stops_there_once",
            )
        },
    ),
    Row(
        "the kernel is locked down",
        "said, with the kernel's words; nobody tries for ever",
        {LINE: ("unit/targets/test_break_in.py::test_the_kernels_own_reason_is_given",)},
    ),
    Row(
        "vmlinux or a module's file is another build",
        "refused before anything is written or armed",
        {
            KERNEL: (
                "vm/test_identity.py::test_a_vmlinux_of_another_build_is_refused_and_says_both",
                "vm/test_identity.py::test_a_module_that_was_rebuilt_and_not_reloaded_is_refused",
            )
        },
    ),
    Row(
        "two debuggers want different things",
        "one holds the target; the other gets a clear answer; breakpoints are counted",
        {
            LINE: (
                "unit/frontends/gdb/test_several.py::test_registers_and_memory_are_written_by_the_holder_alone_and_read_by_all",
                "unit/frontends/gdb/test_several.py::test_a_breakpoint_of_both_stays_until_both_have_taken_it_out",
            )
        },
    ),
    Row(
        "a client does not read",
        "a bounded queue; the wire is not held up",
        {
            LINE: (
                "unit/session/test_events.py::test_a_listener_that_does_not_listen_costs_a_bounded_amount_and_loses_the_oldest",
                "unit/session/test_events.py::test_publishing_never_waits_for_a_listener",
            )
        },
    ),
    Row(
        "the disk is full",
        "debugging goes on",
        {LINE: ("unit/session/test_journal.py::test_a_disk_that_is_full_does_not_stop_debugging",)},
    ),
)


@cache
def cases_of(path: Path) -> dict[str, list[str]]:
    """The tests of a file, each with its decorators as text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return {node.name: [ast.unparse(decorator) for decorator in node.decorator_list] for node in functions}


def rows() -> list[object]:
    """Rows as parameters; a gap is expected to fail."""
    gap = pytest.mark.xfail
    return [
        pytest.param(row, id=row.fault, marks=[gap(strict=True, reason=row.gap)] if row.gap else []) for row in MATRIX
    ]


@pytest.mark.parametrize("row", rows())
def test_every_promise_has_tests_that_run(row: Row) -> None:
    assert any(row.tests.values())
    for place, names in row.tests.items():
        for name in names:
            file, _, test = name.partition("::")
            path = TESTS / file
            assert path.exists(), name
            assert test in cases_of(path), name
            assert not [mark for mark in cases_of(path)[test] if "skip" in mark or "xfail" in mark], name
            assert (place is KERNEL) == file.startswith("vm/"), name
