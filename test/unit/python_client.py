#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The Python client and its example, against a host of the test's own: python_client.py ROOT"""
import doctest
import importlib.util
import io
import json
import os
import socket
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

ROOT = os.path.realpath(sys.argv.pop(1))
sys.path.insert(0, os.path.join(ROOT, "python"))
import hvsim


class Host:
    """Answers like a host with one NIC; counts its connections."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "control.sock")
        self.requests, self.connections, self.answers = [], 0, []
        self.up = True
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, client.makefile() as lines:
            for line in lines:
                request = json.loads(line)
                self.requests.append(request)
                answer = self.answers.pop(0) if self.answers else self._answer(request)
                if answer is None:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                try:
                    for piece in [json.dumps(answer) + "\n"] if isinstance(answer, dict) else \
                            [answer] if isinstance(answer, str) else answer:
                        client.sendall(piece.encode())
                except OSError:
                    return  # the client has had enough

    def _answer(self, request):
        if request.get("nic", 0) != 0:
            return {"ok": False, "error": "there is no such NIC"}
        stats = {"link_up": self.up, "state": "offered", "rx_frames": 0}
        if request["cmd"] == "link":
            self.up = request["up"]
        if request["cmd"] == "stats":
            return {"ok": True, **({"stats": stats} if "nic" in request else {"nics": [stats]})}
        if request["cmd"] == "knobs":
            return {"ok": True, "knobs": "stall=0|1           do not read\nrefuse_recv=0|1, refuse_send=0|1  refuse\n"
                                         "vf_switch=take|fail  x=1 is no knob\n"}
        return {"ok": True, "rings": [], "trace": None}

    def close(self):
        self.listener.close()
        self.folder.cleanup()


class Client(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)

    def test_methods_are_requests(self):
        with hvsim.Control(self.host.path) as control:
            control.set("stall", 1)
            control.link(0, up=False)
            control.vf(0, serial=2)
            control.vf(0, present=False)
            control.take_path_back()
            control.rescind(0)
            control.offer(0)
            self.assertIsNone(control.trace(0))
            control.trace(0, file="x", snaplen=128)
            control.trace(0, on=False)
            control.trace(0, on=True)
            self.assertEqual(control.rings(0), [])
            self.assertEqual(control.stats(), [{"link_up": False, "state": "offered", "rx_frames": 0}])
        self.assertEqual(self.host.requests, [
            {"cmd": "set", "nic": 0, "name": "stall", "value": "1"}, {"cmd": "link", "nic": 0, "up": False},
            {"cmd": "vf", "nic": 0, "present": True, "serial": 2}, {"cmd": "vf", "nic": 0, "present": False, "serial": 1},
            {"cmd": "vf", "nic": 0, "path": "synthetic"}, {"cmd": "rescind", "nic": 0}, {"cmd": "offer", "nic": 0},
            {"cmd": "trace", "nic": 0}, {"cmd": "trace", "nic": 0, "file": "x", "snaplen": 128},
            {"cmd": "trace", "nic": 0, "on": False}, {"cmd": "trace", "nic": 0, "on": True},
            {"cmd": "rings", "nic": 0}, {"cmd": "stats"}])
        self.assertEqual(self.host.connections, 1)

    def test_knobs(self):
        with hvsim.Control(self.host.path) as control:
            self.assertEqual(set(control.knobs()), {"stall", "refuse_recv", "refuse_send", "vf_switch"})

    def test_refusals_and_broken_answers(self):
        with hvsim.Control(self.host.path, timeout=5) as control:
            with self.assertRaisesRegex(hvsim.HostError, "^there is no such NIC$"):
                control.link(1)
            self.host.answers = ["no JSON\n"]
            with self.assertRaises(ValueError):
                control.stats()
            self.host.answers = [None]
            with self.assertRaisesRegex(OSError, "hung up"):
                control.stats()
            # Each time another connection.
            self.assertEqual(len(control.stats()), 1)
            self.assertEqual(self.host.connections, 3)
            with self.assertRaises(TimeoutError):
                control.wait(0, lambda stats: stats["rx_frames"] > 0, timeout=0.1)
        with self.assertRaises(OSError):
            hvsim.Control(self.host.path + "x").stats()

    def test_an_answer_has_one_limit_and_an_end(self):
        """Whoever serves the socket may send a byte now and then, or without end."""
        def dribble():
            for _ in range(100):
                yield " "
                time.sleep(0.1)
            yield '{"ok": true}\n'

        def flood():
            for _ in range(4):
                yield " " * (1 << 20)
            yield '{"ok": true}\n'

        with hvsim.Control(self.host.path, timeout=0.5) as control:
            self.host.answers = [dribble()]
            with self.assertRaises(TimeoutError):
                control.stats()
        with hvsim.Control(self.host.path) as control:
            self.host.answers = [flood()]
            with self.assertRaisesRegex(ConnectionError, "more than 1048576 bytes"):
                control.stats()
            self.assertEqual(len(control.stats()), 1)

    def test_find(self):
        def find(*folders):
            os.environ["HYPERPOLL_VFIO_USER_DIRS"] = ":".join(folders)
            try:
                return hvsim.find()
            finally:
                del os.environ["HYPERPOLL_VFIO_USER_DIRS"]

        other, ended = Host(), Host()
        self.addCleanup(other.close)
        self.addCleanup(ended.folder.cleanup)
        ended.listener.shutdown(socket.SHUT_RDWR)
        ended.listener.close()
        self.assertEqual(find(self.host.folder.name, self.host.folder.name + "/.", ended.folder.name), self.host.path)
        with self.assertRaisesRegex(hvsim.NoHost, "no running host found"):
            find(ended.folder.name)
        with self.assertRaisesRegex(hvsim.NoHost, f"2 hosts run: .*{self.host.path}, {other.path}"):
            find(self.host.folder.name, other.folder.name)

    def test_documentation(self):
        failed, tried = doctest.testmod(hvsim, extraglobs={"path": self.host.path})
        self.assertEqual(failed, 0)
        self.assertGreater(tried, 3)


class FindRate(unittest.TestCase):
    """The search of the example, on applications that drop from some rate on."""

    def example(self):
        spec = importlib.util.spec_from_file_location("find_rate", os.path.join(ROOT, "examples/find_rate.py"))
        find_rate = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(find_rate)
        return find_rate

    def test_search(self):
        find_rate = self.example()
        for limit in (1000, 1001, 37000, 999999, 12345678):
            tried = []
            rate = find_rate.search(lambda r: tried.append(r) or r > limit, 1000, 20000000, 0.01)
            self.assertLessEqual(rate, limit)
            self.assertGreater(rate, 0.98 * limit - 1)
            self.assertLess(len(tried), 30)
            self.assertEqual(len(set(tried)), len(tried))
        self.assertEqual(find_rate.search(lambda r: False, 10, 1000), 1000)
        self.assertEqual(find_rate.search(lambda r: True, 10, 1000), 0)
        self.assertEqual([find_rate.number(text) for text in ("1500", "10K", "2.5M")], [1500, 10000, 2500000])

    def test_trials_that_show_nothing_are_refused(self):
        """Of no time, or in which everything may be lost."""
        find_rate = self.example()
        for words in ("--seconds 0", "--seconds -1", "--tolerance 1", "--tolerance -1", "--precision 0", "--low 0"):
            with mock.patch.object(sys, "argv", ["find_rate", *words.split()]), \
                    mock.patch("sys.stderr", io.StringIO()) as said, self.assertRaises(SystemExit):
                find_rate.main()
            self.assertIn(words.split()[0], said.getvalue().splitlines()[-1])


if __name__ == "__main__":
    unittest.main(verbosity=1)
