# SPDX-License-Identifier: Apache-2.0
"""A noisy line to a real kernel: stands between its stub and whoever debugs, and does to bytes what bad lines do."""

from __future__ import annotations

import os
import socket
import threading

from nullmodem.testing.line import Noise
from nullmodem.waiting import wait_readable

_READ_SIZE = 1 << 16


class NoisyLine:
    """Passes bytes between ``kernel``, the line to the stub, and ``client``, the end for whoever debugs.

    One byte in ``one_in`` is struck, in each direction, the same ones for the same ``seed`` and traffic; ``struck``
    counts them. ``kernel`` stays open when it is closed.
    """

    def __init__(self, kernel: socket.socket, *, seed: int, one_in: int = 10_000) -> None:
        self._kernel = kernel
        self.client, self._ours = socket.socketpair()
        self._noises = {kernel.fileno(): Noise(seed, one_in), self._ours.fileno(): Noise(~seed, one_in)}
        self._wake, self._alarm = os.pipe()
        self._thread = threading.Thread(target=self._run, name="nullmodem-noise", daemon=True)
        self._thread.start()

    @property
    def struck(self) -> int:
        """How many bytes were, in both directions."""
        return sum(noise.struck for noise in self._noises.values())

    def close(self) -> None:
        """Stop, and close the client's end too."""
        os.write(self._alarm, b"\0")
        self._thread.join()
        self._ours.close()
        self.client.close()
        os.close(self._wake)
        os.close(self._alarm)

    def _run(self) -> None:
        sources: list[int] = [self._wake, self._kernel.fileno(), self._ours.fileno()]
        try:
            while self._wake not in (ready := wait_readable(sources)):
                for here, there in ((self._kernel, self._ours), (self._ours, self._kernel)):
                    if here.fileno() not in ready:
                        continue
                    data = here.recv(_READ_SIZE)
                    if not data:
                        return
                    there.sendall(self._noises[here.fileno()](0, data))
        except OSError:
            return  # one end is gone
