# SPDX-License-Identifier: Apache-2.0
"""A serial device, or a pseudo terminal, of this machine as a line."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Final

import serial

from nullmodem.errors import UsageError, WireClosed, WireError, WireTimeout
from nullmodem.waiting import wait_readable
from nullmodem.wire.spec import Flow, LineSettings, Parity, PtyWire

if TYPE_CHECKING:
    from nullmodem.wire.spec import SerialWire

_PARITIES: Final = {
    Parity.NONE: serial.PARITY_NONE,
    Parity.EVEN: serial.PARITY_EVEN,
    Parity.ODD: serial.PARITY_ODD,
}
_UNIX98_SLAVES: Final = range(136, 144)  # include/uapi/linux/major.h
BREAK_SECONDS: Final = 0.25
WRITE_SECONDS: Final = 10.0
"""A UART that takes nothing for that long waits for a CTS or an XON that does not come."""


def open_serial(wire: SerialWire | PtyWire) -> SerialStream:
    """Open the device for us alone.

    Raises:
        UsageError: it is no terminal, or cannot be set so.
        WireError: it is not there, may not be opened, or is in use by another program, which is named if it can be.
    """
    is_pty = isinstance(wire, PtyWire)
    settings = LineSettings() if isinstance(wire, PtyWire) else wire.settings
    check_device(wire.path)
    _check_free(wire.path, any_use=not is_pty)
    try:
        port = serial.Serial(
            wire.path,
            settings.baud,
            parity=_PARITIES[settings.parity],
            stopbits=settings.stop_bits,
            rtscts=settings.flow is Flow.RTSCTS,
            xonxoff=settings.flow is Flow.XONXOFF,
            timeout=0,
            write_timeout=WRITE_SECONDS,
            exclusive=True,
        )
    except ValueError as error:
        raise UsageError(f"{wire}: the device cannot be set so: {error}") from error
    except (OSError, termios.error) as error:
        raise _open_error(wire, error) from error
    with contextlib.suppress(OSError):
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    return SerialStream(port, str(wire), has_break=not _is_pseudo_terminal(port.fileno()))


class SerialStream:
    """An open serial device."""

    def __init__(self, port: serial.Serial, name: str, *, has_break: bool) -> None:
        self._port = port
        self._name = name
        self._has_break = has_break

    def fileno(self) -> int:
        """The device's descriptor; -1 once closed."""
        return int(self._port.fileno()) if self._port.is_open else -1

    def read(self, limit: int = 65536) -> bytes | None:
        """See ByteStream. A device that is unplugged is readable, and empty."""
        try:
            wait_readable([self.fileno()])
            return os.read(self.fileno(), limit)
        except (OSError, ValueError):
            return b""

    def write(self, data: bytes) -> None:
        """Raises WireClosed; WireTimeout when flow control holds the line for ten seconds."""
        try:
            self._port.write(data)
        except serial.SerialTimeoutException as error:
            raise WireTimeout(
                f"{self._name} takes no bytes: flow control has held it for {WRITE_SECONDS:g} s",
                hint="Is the other end on, and are both sides set to the same flow control? Try flow=none.",
            ) from error
        except (OSError, serial.SerialException) as error:
            raise WireClosed(f"{self._name} is gone: {error}") from error

    def send_break(self) -> None:
        """Hold BREAK for a quarter of a second. Raises UsageError for a pseudo terminal, which has none; WireClosed."""
        if not self._has_break:
            raise UsageError(
                f"{self._name} is a pseudo terminal and cannot carry a BREAK",
                hint="Stop the target through a shell on its console, over ssh, or with its QEMU's monitor.",
            )
        try:
            self._port.send_break(BREAK_SECONDS)
        except (OSError, termios.error, serial.SerialException) as error:
            raise WireClosed(f"{self._name} is gone: {error}") from error

    def close(self) -> None:
        """Let the device go. Safe to call twice."""
        if self._port.is_open:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._port.fileno(), termios.TIOCNXCL)
            self._port.close()


def _is_pseudo_terminal(descriptor: int) -> bool:
    """Whether a BREAK would vanish: the kernel takes one for a pty and does nothing (drivers/tty/pty.c)."""
    return os.major(os.fstat(descriptor).st_rdev) in _UNIX98_SLAVES


def check_device(path: str) -> None:
    """Without opening it. Raises WireError when there is no such device, UsageError when it is no serial line."""
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        raise WireError(f"there is no device {path}", hint=_devices_hint()) from None
    except OSError as error:
        raise WireError(f"cannot look at {path}: {error.strerror}") from error
    if stat.S_ISSOCK(found.st_mode):
        raise UsageError(f"{path} is no serial line", hint=f"A socket is given as unix:{path}.")
    if not stat.S_ISCHR(found.st_mode) or _subsystem(found.st_rdev) not in ("tty", ""):
        raise UsageError(f"{path} is no serial line", hint=_devices_hint())


def _subsystem(device: int) -> str:
    """What kind of character device the kernel says it is; empty where it does not say: it lists no pseudo terminal."""
    kind = Path(f"/sys/dev/char/{os.major(device)}:{os.minor(device)}/subsystem")
    try:
        return kind.readlink().name
    except OSError:
        return ""


def _check_free(path: str, *, any_use: bool) -> None:
    """Two readers of one line each get half of it, so nobody else may have it open, locked or not."""
    users = _users(path) if any_use else ()
    if users:
        raise WireError(f"{path} is in use by {', '.join(users)}", hint="End that program first.")


def _users(path: str) -> tuple[str, ...]:
    """Other processes that have the device open, as far as we may see them."""
    real = os.path.realpath(path)
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if any(_link(descriptor) == real for descriptor in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                found.append(f"{name} (process {process.name})")
    return tuple(found)


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _open_error(wire: SerialWire | PtyWire, error: Exception) -> WireError | UsageError:
    number = getattr(error, "errno", None)
    if number == errno.ENOTTY:
        return UsageError(f"{wire.path} is no serial line", hint=_devices_hint())
    if number == errno.EACCES:
        return WireError(
            f"no permission to open {wire.path}",
            hint="Serial devices belong to the group dialout: `sudo usermod -aG dialout $USER`, and log in again.",
        )
    if number in (errno.EBUSY, errno.EWOULDBLOCK) or "exclusively lock" in str(error):
        users = _users(wire.path)
        by = f" by {', '.join(users)}" if users else " by another program"
        return WireError(f"{wire.path} is in use{by}", hint="End that program first.")
    if number in (errno.ENXIO, errno.ENODEV, errno.EIO):
        return WireError(f"{wire.path} is there, but no hardware is behind it", hint=_devices_hint())
    reason = os.strerror(number) if isinstance(number, int) else str(error)
    return WireError(f"cannot open {wire.path}: {reason}")


def _devices_hint() -> str:
    devices = sorted(
        str(path) for pattern in ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyXRUSB*") for path in Path("/dev").glob(pattern)
    )
    return f"Devices of this kind here: {', '.join(devices)}." if devices else "No USB serial adapter is plugged in."
