# SPDX-License-Identifier: Apache-2.0
# A gdb that is interrupted while it connects gives up without a word (remote.c remote_serial_quit_handler), and
# what it is to do next would find no target.
if $_thread == 0
  echo gdb is not connected to the target: once more (Ctrl-C ends that)\n
  eval "target remote %s", $nullmodem_remote
end
