# SPDX-License-Identifier: BSD-3-Clause
"""A wire between a guest and its host that can be cut after any byte: UNIX sockets, descriptors and all."""
import array
import os
import socket
import threading

FDS = 16


class Proxy:
    """Listens at path and connects to target for every client."""

    def __init__(self, path, target):
        self.path, self.target = path, target
        self.lock = threading.Lock()
        self.pairs = []
        self.limits = []  # bytes that the next connections live for
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)
        self.closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.closed:
            try:
                guest, _ = self.listener.accept()
            except OSError:
                return
            host = socket.socket(socket.AF_UNIX)
            host.settimeout(5)
            # Whoever the host has accepted is known to cut(), too.
            with self.lock:
                try:
                    host.connect(self.target)
                except OSError:
                    guest.close()
                    host.close()
                    continue
                host.settimeout(None)
                limit = self.limits.pop(0) if self.limits else None
                self.pairs.append((guest, host))
            left = [limit]
            for one, other in ((guest, host), (host, guest)):
                threading.Thread(target=self._pump, args=(one, other, left), daemon=True).start()

    def _pump(self, source, sink, left):
        try:
            while True:
                data, control, _, _ = source.recvmsg(65536, socket.CMSG_SPACE(FDS * 4))
                fds = array.array("i")
                for level, kind, payload in control:
                    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                        fds.frombytes(payload[:len(payload) - len(payload) % 4])
                try:
                    if not data:
                        break
                    if left[0] is not None and len(data) > left[0]:
                        if left[0]:
                            self._send(sink, data[:left[0]], fds)
                        break
                    if left[0] is not None:
                        left[0] -= len(data)
                    self._send(sink, data, fds)
                finally:
                    for fd in fds:
                        os.close(fd)
        except OSError:
            pass
        self._end(source, sink)

    @staticmethod
    def _send(sink, data, fds):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if fds else []
        sent = sink.sendmsg([data], control)
        sink.sendall(data[sent:])

    def _end(self, *sockets):
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self.lock:
            for pair in [pair for pair in self.pairs if pair[0] in sockets]:
                self.pairs.remove(pair)
                # Whoever is in recvmsg() of one has been woken by the shutdown.
                for one in pair:
                    one.close()

    def cut(self, after=()):
        """Cut what there is now, and the next connections after so many bytes."""
        with self.lock:
            self.limits = list(after)
            pairs = list(self.pairs)
        for pair in pairs:
            self._end(*pair)

    def close(self):
        self.closed = True
        self.cut()
        self.listener.close()
