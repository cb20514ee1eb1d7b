# SPDX-License-Identifier: BSD-3-Clause
"""Connections to UNIX sockets of a host that may be busy."""
import socket
import time


def connect(path, seconds=10):
    """A connected socket, whose calls end after so many seconds, too.

    A socket whose queue is full refuses at once (EAGAIN), and nothing tells when it is not any more.
    """
    deadline = time.monotonic() + seconds
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(seconds)
    while True:
        try:
            client.connect(path)
            return client
        except BlockingIOError:
            if time.monotonic() > deadline:
                client.close()
                raise
            time.sleep(0.01)
        except OSError:
            client.close()
            raise
