# SPDX-License-Identifier: BSD-3-Clause
"""One client, one share: hostile clients of hvsim, and the neighbour who notices nothing."""
import ctypes
import errno
import os
import platform
import signal
import socket
import struct
import subprocess
import threading
import time

from harness import HVSIM, Host, needs_root, wait_until
from raw_client import (DMA_MAP, DMA_UNMAP, GET_INFO, NO_REPLY, REGION_READ, RESET, SET_IRQS,
                        RawClient, dma_map, dma_unmap, memory, message, region_read, set_irqs)
from test_life import Traffic

SMALL = "channels=4,ring=64K,recv=1M,send=1M"
GENERATOR = "gen:size=60-1514,rate=20K,flows=16"
FULL = struct.pack("<Q", 2**64 - 2)


class Shares(Traffic):
    limit = 170  # 63 hostile clients keep a small machine busy

    def client(self, host, number=0, version=True):
        raw = RawClient(host.socket(number), version)
        self.addCleanup(raw.close)
        return raw

    def descriptor(self, fd):
        self.addCleanup(os.close, fd)
        return fd

    def neighbour(self, host, number):
        """A stock testpmd that forwards what the generator of one NIC makes.

        It tries again what its small ring has no room for: on a busy machine the host pauses.
        """
        pmd = self.guest([host.device(number)])
        pmd.start("io")
        self.grows(host, "verified", 2000, timeout=40, number=number)
        return pmd

    def goes_on(self, host, number):
        """Frames are forwarded now, and none was ever lost, changed or doubled."""
        self.grows(host, "verified", 4000, timeout=40, number=number)
        port = host.port(number)
        self.assertEqual((port["corrupt"], port["lost"], port["duplicate"]), (0, 0, 0), port)

    def answers_within(self, host, number, seconds, tries=200):
        """The quickest of many answers, for the machine may be busy with others for any of them."""
        took = []
        while len(took) < tries and not (len(took) >= 20 and min(took) < seconds):
            begin = time.monotonic()
            host.stats(number)
            took.append(time.monotonic() - begin)
        self.assertLess(min(took), seconds, took)

    def ends_soon(self, host, status=0):
        """What hangs longer than 5 s it leaves behind, with another status."""
        host.signal(signal.SIGTERM)
        self.assertEqual(host.wait(), status)

    # ---- time ----

    def test_half_a_message_does_not_keep_the_nic(self):
        """Half a message, and silence: the NIC was the client's for ever."""
        host = self.host(GENERATOR)
        raw = self.client(host)
        raw.send(message(GET_INFO, bytes(16))[:20])
        self.assertTrue(raw.closed_within(8))
        self.neighbour(host, 0)

    def test_a_client_that_reads_nothing(self):
        """Replies that nobody takes: the host waits for no one, and hangs up."""
        host = self.host("sink", GENERATOR)
        self.neighbour(host, 1)
        raw = self.client(host)
        raw.socket.settimeout(0.5)
        try:
            while True:
                raw.send(message(REGION_READ, region_read(5, 8192)))
        except (TimeoutError, BlockingIOError):
            pass
        self.goes_on(host, 1)
        # The NIC is free when the connection has been closed.
        wait_until(lambda: self.free(host, 0), 8, "the NIC is free", probe=True)

    def free(self, host, number):
        try:
            RawClient(host.socket(number)).close()
        except OSError:
            return False
        return True

    def test_eventfds_that_block(self):
        """Clients fill their eventfds and clear O_NONBLOCK, again and again, under signals."""
        host = self.host((SMALL, "sink"), (SMALL, GENERATOR))
        self.neighbour(host, 1)
        raw = self.client(host)
        event = self.descriptor(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        self.assertEqual(raw.ask(SET_IRQS, set_irqs(0, 0, 1), [event]), 0)
        stop = threading.Event()

        def toggle():
            while not stop.is_set():
                os.set_blocking(event, False)
                try:
                    os.read(event, 8)
                except BlockingIOError:
                    pass
                try:
                    os.write(event, FULL)
                except BlockingIOError:
                    pass
                os.set_blocking(event, True)

        thread = threading.Thread(target=toggle)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            # "Fire now": what a host does on its own when it signals.
            self.assertEqual(raw.ask(SET_IRQS, set_irqs(0, 0, 1, flags=0x21)), 0)
        self.goes_on(host, 1)
        self.ends_soon(host)

    def test_sigterm_when_the_control_thread_hangs(self):
        """Whatever should hold it, hvsim ends."""
        source, library, flag = (self.path(name) for name in ("hang.c", "hang.so", "flag"))
        with open(source, "w", encoding="ascii") as file:
            file.write(HANG)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        host = self.host("sink", prefix=["env", f"LD_PRELOAD={library}", f"HANG={flag}"])
        with open(flag, "w", encoding="ascii"):
            pass
        host.expect("hanging", 10)
        host.signal(signal.SIGTERM)
        self.assertEqual(host.wait(10), 1)
        self.assertIn("not ended in order", host.text)

    def test_nobody_reads_the_output(self):
        """Lines about a guest and statistics went to a pipe that nobody read, and held hvsim."""
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        pipe = self.descriptor(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
        host = self.host((SMALL, "sink"), (SMALL, GENERATOR), args=["--stats-interval", "1"],
                         prefix=["sh", "-c", f'exec "$0" "$@" >{fifo} 2>&1'])
        try:
            while True:
                os.write(pipe, bytes(4096))
        except BlockingIOError:
            pass
        self.neighbour(host, 1)
        for _ in range(20):
            raw = self.client(host)
            raw.send(b"\xff" * 16)
            self.assertTrue(raw.closed_within(5))
            raw.close()
        self.goes_on(host, 1)
        self.assertTrue(host.request("stats", 0)["ok"])
        # Long enough for a report that nobody reads, too.
        time.sleep(1.5)
        self.goes_on(host, 1)
        # Its reports are lost.
        self.ends_soon(host, 1)

    # ---- descriptors ----

    def test_descriptors_of_other_kinds(self):
        """A pipe, a directory or a socket is no eventfd and no memory."""
        host = self.host((SMALL, "sink"), (SMALL, GENERATOR))
        self.neighbour(host, 1)
        raw = self.client(host)
        ends = [self.descriptor(fd) for fd in os.pipe()]
        plain = self.descriptor(os.open(self.path("plain"), os.O_RDWR | os.O_CREAT))
        os.ftruncate(plain, 1 << 20)
        one, two = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(two.close)
        folder = self.descriptor(os.open(self.dir, os.O_RDONLY | os.O_DIRECTORY))
        event = self.descriptor(os.eventfd(0))
        for fd in (*ends, one.fileno(), folder, plain):
            self.assertEqual(raw.ask(SET_IRQS, set_irqs(0, 0, 1), [fd]), errno.EINVAL)
        for fd in (*ends, one.fileno(), folder, event):
            self.assertEqual(raw.ask(DMA_MAP, dma_map(0, 4096), [fd]), errno.EINVAL)
        # Nothing of it is used when the guest is signalled by hand.
        self.assertEqual(raw.ask(SET_IRQS, set_irqs(0, 0, 1, flags=0x21)), 0)
        self.goes_on(host, 1)

    # ---- mappings and memory ----

    def at_its_limits(self, client, fd, events):
        """Take what the host gives: eventfds, then mappings until they are refused."""
        for start in range(4):
            self.assertEqual(client.ask(SET_IRQS, set_irqs(0, start, 1), [events[start]]), 0)
        self.assertEqual(client.ask(SET_IRQS, set_irqs(1, 0, 1), [events[4]]), 0)
        self.assertEqual(client.ask(DMA_MAP, dma_map(1 << 41, 1 << 40), [fd]), errno.ENOSPC)
        for n in range(65536):
            error = client.ask(DMA_MAP, dma_map(n * 8192, 4096), [fd])
            if error:
                self.assertEqual(error, errno.ENOSPC)
                return n
        self.fail("no limit of mappings")

    def flood(self, clients, fd):
        """A process of its own: every client unmaps, maps and resets as fast as it is answered."""
        unmaps = b"".join(message(DMA_UNMAP, dma_unmap(n * 8192, 4096), flags=NO_REPLY)
                          for n in range(8))
        pid = os.fork()
        if pid:
            return pid
        try:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
            os.nice(5)  # the machine may have two processors for all of this
            while True:
                for client in clients:
                    client.send(unmaps)
                    for n in range(8):
                        client.send(message(DMA_MAP, dma_map(n * 8192, 4096), flags=NO_REPLY),
                                    [fd])
                    client.send(message(RESET))
                for client in clients:
                    client.reply()
        finally:
            os._exit(0)

    def test_63_clients_at_their_limits(self):
        """The 64th NIC attaches, forwards, and answers ctl within 100 ms."""
        host = self.host(*[(SMALL, "sink")] * 63, (SMALL, GENERATOR))
        fd = self.descriptor(memory(1 << 40))
        events = [self.descriptor(os.eventfd(0)) for _ in range(5)]
        clients, maps = [], []
        for number in range(63):
            clients.append(self.client(host, number))
            maps.append(self.at_its_limits(clients[-1], fd, events))
        self.assertEqual(len(set(maps)), 1)
        with open(f"/proc/{host.child.pid}/maps", encoding="ascii") as file:
            used = len(file.readlines())
        with open("/proc/sys/vm/max_map_count", encoding="ascii") as file:
            self.assertLess(used, int(file.read()))
        pid = self.flood(clients, fd)
        try:
            pmd = self.neighbour(host, 63)
            self.goes_on(host, 63)
            self.answers_within(host, 63, 0.1)
            self.assertTrue(pmd.alive())
            self.assertEqual(os.waitpid(pid, os.WNOHANG), (0, 0), "the flood ended by itself")
            self.goes_on(host, 63)
        finally:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass
        self.ends_soon(host)

    def test_options_of_the_shares(self):
        """What the user gives each client is what it gets; more than there is is refused."""
        host = self.host((SMALL, "sink"), args=["--client-maps", "10", "--client-memory", "1M",
                                                "--client-fds", "2"])
        raw = self.client(host)
        fd = self.descriptor(memory(1 << 30))
        event = self.descriptor(os.eventfd(0))
        self.assertEqual(raw.ask(DMA_MAP, dma_map(0, (1 << 20) + 4096), [fd]), errno.ENOSPC)
        self.assertEqual([raw.ask(DMA_MAP, dma_map(n * 8192, 4096), [fd]) for n in range(11)],
                         [0] * 10 + [errno.ENOSPC])
        self.assertEqual([raw.ask(SET_IRQS, set_irqs(0, n, 1), [event]) for n in range(3)],
                         [0, 0, errno.ENOSPC])
        status, text = self.run_program(
            "hvsim", [HVSIM, "--dir", self.dir, "--client-maps", "60000", "--nic", "port=sink",
                      "--nic", "port=sink"])
        self.assertNotEqual(status, 0)
        self.assertRegex(text, "--client-maps 60000.*vm.max_map_count")

    # ---- out of descriptors ----

    def cpu_seconds(self, host):
        with open(f"/proc/{host.child.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_accept_without_descriptors(self):
        """Where no more clients can be taken, the host rests, and serves those it has."""
        host = self.host((SMALL, "sink"), (SMALL, "sink"), prefix=["prlimit", "--nofile=48:48"])
        host.expect("limit is 48", 5)
        first = self.client(host, 0)
        for number in (0, 1):
            for _ in range(8):
                self.client(host, number, version=False)
        host.expect("cannot serve a client now", 5)
        before, begin = self.cpu_seconds(host), time.monotonic()
        time.sleep(2)
        used = self.cpu_seconds(host) - before
        self.assertLess(used, (time.monotonic() - begin) / 2)
        self.assertEqual(first.ask(GET_INFO, struct.pack("<IIII", 16, 0, 0, 0)), 0)

    # ---- who serves, and where ----

    def refuses_folder(self, folder):
        status, text = self.run_program("hvsim", [HVSIM, "--dir", folder, "--nic", "port=sink"])
        self.assertEqual(status, 1, text)
        self.assertIn(folder, text)
        self.assertRegex(text, "another user's, or others may write")
        self.assertEqual(len(text.strip().splitlines()), 1, text)
        self.assertEqual(os.listdir(folder), [])

    def test_folder_that_others_may_write_to(self):
        for mode in (0o777, 0o1777, 0o770, 0o702):
            folder = self.mkdtemp()
            os.chmod(folder, mode)
            self.refuses_folder(folder)
        os.chmod(folder, 0o755)
        self.host("sink", directory=folder)

    @needs_root
    def test_folder_of_another_user(self):
        folder = self.mkdtemp()
        os.chown(folder, 65534, 65534)
        self.refuses_folder(folder)

    @needs_root
    def test_socket_served_by_another_user(self):
        """A guest does not talk to a host that neither root nor its own user runs."""
        path = self.path("foreign.sock")
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path)
                os.chmod(path, 0o666)
                os.setuid(65534)
                server.listen(8)
                os.write(told, b"x")
                signal.pause()
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        os.read(ready, 1)
        os.close(ready)
        os.close(told)
        guid = "48795065-7230-4000-8000-000000000001"
        status, text = self.run_program(
            "testpmd", ["dpdk-testpmd", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
                        "-d", self.plugin(), "-a", f"vmbus:{guid},vfio-user={path}", "--", "-i"])
        self.assertNotEqual(status, 0)
        self.assertIn("served by another user", text)
        status, text = self.run_program("ctl", [HVSIM, "ctl", path, "stats"])
        self.assertEqual(status, 1)
        self.assertIn("another user", text)

    def plugin(self):
        from harness import PLUGIN
        return PLUGIN

    def starts_beside(self, folder):
        """A host starts in a folder whose control socket is held by one that does not answer."""
        host = self.own(Host(folder, "sink")).ready()
        host.expect("does not answer; taking its place", 5)
        self.assertEqual(host.stats()["state"], "offered")
        return host

    def test_hung_control_socket(self):
        """The old host takes connections and answers none."""
        folder = self.mkdtemp()
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(f"{folder}/control.sock")
            old.listen(8)
            self.starts_beside(folder)

    def test_control_socket_whose_queue_is_full(self):
        """connect() to the old host does not even return."""
        folder = self.mkdtemp()
        path = f"{folder}/control.sock"
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(path)
            old.listen(0)
            waiting = []
            try:
                while True:
                    waiting.append(socket.socket(socket.AF_UNIX))
                    waiting[-1].setblocking(False)
                    waiting[-1].connect(path)
            except BlockingIOError:
                pass
            self.starts_beside(folder)
            for one in waiting:
                one.close()

    def test_stopped_host_leaves_the_socket_of_the_next(self):
        """The old host stood still, goes on, and ends: the new one's socket is not its to remove."""
        folder = self.mkdtemp()
        old = self.host("sink", directory=folder)
        old.signal(signal.SIGSTOP)
        new = self.own(self.program("hvsim", [
            HVSIM, "--dir", folder, "--nic", "guid=48795065-7230-4000-8000-0000000000ff"]))
        new.expect("NIC 0 at", 10)
        old.signal(signal.SIGCONT)
        self.assertEqual(old.stop(), 0)
        status, text = self.run_program("ctl", [HVSIM, "ctl", f"{folder}/control.sock", "stats"])
        self.assertEqual(status, 0, text)
        self.assertIn("0000000000ff", text)

    def test_silent_connections_to_the_control_socket(self):
        host = self.host("sink")
        silent = []
        for _ in range(20):
            silent.append(socket.socket(socket.AF_UNIX))
            self.addCleanup(silent[-1].close)
            silent[-1].connect(f"{host.dir}/control.sock")
            silent[-1].send(b'{"cmd":"st')
        self.assertEqual(host.stats()["state"], "offered")

    # ---- asynchronous I/O ----

    def test_no_asynchronous_requests_left(self):
        """Where the kernel cannot signal for us, one message at the start says what to do."""
        if platform.machine() != "x86_64":
            self.skipTest("the filter is made for x86_64")
        status, text = self.run_program(
            "hvsim", ["python3", "-c", SECCOMP, HVSIM, "--dir", self.dir, "--nic", "port=sink"])
        self.assertEqual(status, 1, text)
        self.assertIn("fs.aio-max-nr", text)
        self.assertEqual(len(text.strip().splitlines()), 1, text)


# poll() of the control thread never returns once a file is there; it is asked again in short turns.
HANG = """
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int poll(struct pollfd *p, nfds_t n, int timeout)
{
	struct timespec turn = {0, 50000000};
	int rc = ppoll(p, n, timeout == 0 ? &(struct timespec){0} : &turn, NULL);
	if (access(getenv("HANG"), F_OK) == 0) {
		fprintf(stderr, "hanging\\n");
		for (;;)
			pause();
	}
	return rc;
}
"""

# io_setup() answers EAGAIN, as when fs.aio-max-nr is used up; then the program of the arguments.
SECCOMP = """
import ctypes, os, struct, sys
code = b"".join(struct.pack("<HBBI", *line) for line in (
    (0x20, 0, 0, 0), (0x15, 0, 1, 206), (0x06, 0, 0, 0x50000 | 11), (0x06, 0, 0, 0x7fff0000)))
text = ctypes.create_string_buffer(code)
program = struct.pack("@HP", 4, ctypes.addressof(text))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
