# SPDX-License-Identifier: BSD-3-Clause
"""What a user can get wrong: one clear message and a non-zero exit status each."""
import os
import re
import socket
import struct
import threading

import frames
from harness import HVSIM, PLUGIN, Case, lcore_args, memory_args

GUID = "48795065-7230-4000-8000-0000000000ee"


class GuestErrors(Case):
    def refused(self, device, *patterns):
        """testpmd that needs a port must not get one from this device."""
        status, text = self.run_program("testpmd", [
            "dpdk-testpmd", *lcore_args(), "--no-pci", "--no-telemetry", *memory_args(),
            "-d", PLUGIN, "-a", device, "--", "--nb-ports=1", "--total-num-mbufs=2048"])
        self.assertNotEqual(status, 0)
        for pattern in patterns:
            self.assertRegex(text, pattern)

    def serve(self, answer):
        """A socket where every connection gets this answer to its first message."""
        path = self.path(GUID + ".sock")
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen(4)
        server.settimeout(30)
        self.addCleanup(server.close)

        def loop():
            while True:
                try:
                    peer, _ = server.accept()
                    with peer:
                        peer.settimeout(10)
                        request = peer.recv(65536)
                        answered = answer(request)
                        if answered is not None:
                            peer.sendall(answered)
                            peer.recv(65536)
                except OSError:
                    if server.fileno() < 0:
                        return

        threading.Thread(target=loop, daemon=True).start()
        return f"vmbus:{GUID},vfio-user={path}"

    def version_reply(self, request, major, minor, capabilities=b'{"capabilities":{}}\0'):
        ident, command = struct.unpack_from("<HH", request)
        body = struct.pack("<HH", major, minor) + capabilities
        return struct.pack("<HHIII", ident, command, 16 + len(body), 1, 0) + body

    def test_missing_socket(self):
        self.refused(f"vmbus:{GUID},vfio-user={self.path('none.sock')}", "none.sock",
                     "No such file|does not exist|not found|hvsim")

    def test_socket_nobody_listens_on(self):
        path = self.path("stale.sock")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
        self.refused(f"vmbus:{GUID},vfio-user={path}", "stale.sock", "refused|listen|running")

    def test_not_a_socket(self):
        path = self.path("file.sock")
        with open(path, "w") as file:
            file.write("hello")
        self.refused(f"vmbus:{GUID},vfio-user={path}", "file.sock")

    def test_wrong_guid(self):
        """The socket is of another device."""
        host = self.host("sink")
        self.refused(f"vmbus:{GUID},vfio-user={host.socket()}", GUID,
                     f"it is device {host.guids[0]}")

    def test_unknown_guid(self):
        self.refused(f"vmbus:{GUID}", GUID)

    def test_malformed_guid(self):
        self.refused("vmbus:48795065-7230-4000-8000-00000000000", "48795065-7230-4000-8000-")

    def test_unknown_device_argument(self):
        host = self.host("sink")
        self.refused(host.device(options=",rx_copybrake=1"), "rx_copybrake")

    def test_bad_device_argument(self):
        host = self.host("sink")
        self.refused(host.device(options=",tx_copybreak=many"), "tx_copybreak", "many")

    def test_socket_of_another_program(self):
        self.refused(self.serve(lambda _: b"220 mail.example ESMTP\r\n" * 4), GUID,
                     "(?i)vfio-user|something else")

    def test_socket_that_never_answers(self):
        self.refused(self.serve(lambda _: b""), GUID, "(?i)answer|reply|timed out|time")

    def test_socket_that_hangs_up(self):
        self.refused(self.serve(lambda _: None), GUID, "(?i)closed|hung up|reset|ended")

    def test_wrong_protocol_version(self):
        self.refused(self.serve(lambda request: self.version_reply(request, 1, 0)),
                     "(?i)version")

    def test_vdev_netvsc_is_warned_of(self):
        """Failsafe over a TAP and the VF, as instructions of years ago have it (pitfalls Z2)."""
        host = self.host("sink")
        said = "net_vdev_netvsc0 is on the command line, too"
        pmd = self.guest(host, eal=["--vdev=net_vdev_netvsc0"])
        self.assertIn(said, pmd.text)
        self.assertEqual(pmd.quit(), 0)
        # What it says for itself when it has found nothing, and is told to be there for nobody.
        pmd = self.guest(host, eal=["--vdev=net_vdev_netvsc0,ignore=1"])
        self.assertNotIn(said, pmd.text)
        self.assertEqual(pmd.quit(), 0)

    def test_device_in_use(self):
        host = self.host("sink")
        self.guest(host)
        self.refused(host.device(), "(?i)in use|busy|another")


class HostErrors(Case):
    def refused(self, argv, *patterns, prefix=()):
        status, text = self.run_program("hvsim", [HVSIM, *argv], prefix=prefix, timeout=10)
        self.assertNotEqual(status, 0)
        for pattern in patterns:
            self.assertRegex(text, pattern)
        return text

    def nic(self, spec, *patterns, **keys):
        return self.refused(["--dir", self.dir, "--nic", spec], *patterns, **keys)

    def test_port_kind_typo(self):
        self.nic("port=genn:size=60", "genn")

    def test_port_key_typo(self):
        self.nic("port=gen:siez=60", "siez", "size")

    def test_port_value_typo(self):
        self.nic("port=gen:size=6O", "size=6O")

    def test_nic_key_typo(self):
        self.nic("chanels=2,port=sink", "chanels", "channels")

    def test_nic_guid_typo(self):
        self.nic("guid=1234,port=sink", "1234", "GUID")

    def test_same_guid_twice(self):
        nic = f"guid={GUID},port=sink"
        self.refused(["--dir", self.dir, "--nic", nic, "--nic", nic], GUID)

    def test_unknown_option(self):
        self.refused(["--dri", self.dir], "dri", "(?i)usage|--help")

    def test_folder_missing(self):
        self.refused(["--dir", self.path("no/such"), "--nic", "port=sink"], "no/such")

    def test_folder_of_two_hosts(self):
        host = self.host("sink")
        self.refused(["--dir", host.dir, "--nic", f"guid={host.guids[0]},port=sink"], host.dir)

    def test_no_permission_on_tap(self):
        drop = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"]
        self.nic("port=tap:hptest0", "hptest0", "(?i)permission|CAP_NET_ADMIN|root",
                 prefix=drop if os.geteuid() == 0 else [])

    def test_capture_missing(self):
        self.nic(f"port=pcap:in={self.path('none.pcap')}", "none.pcap", "No such file")

    def test_capture_truncated(self):
        path = self.path("cut.pcap")
        frames.pcap_write(path, frames.every_size())
        os.truncate(path, os.path.getsize(path) - 100)
        self.nic(f"port=pcap:in={path}", "cut.pcap", "damaged|truncated")

    def test_capture_is_text(self):
        path = self.path("text.pcap")
        with open(path, "w") as file:
            file.write("not a capture at all, and longer than a header\n")
        self.nic(f"port=pcap:in={path}", "text.pcap")

    def test_fifos_are_refused_and_not_waited_for(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        for spec in (f"port=pcap:in={fifo}", f"port=pcap:out={fifo}", f"trace={fifo},port=sink",
                     f"capture={fifo},port=sink"):
            with self.subTest(spec):
                self.nic(spec, re.escape(fifo), "nobody writes|pipe|reader")
        self.refused(["--dir", self.dir, "--nic", "port=sink", "--scenario", fifo], re.escape(fifo), "nobody writes")

    def test_limit_of_open_files_too_low_to_start(self):
        """One sentence, whatever would have been opened last; what it asks for is enough to start."""
        argv = ["--dir", self.dir, "--duration", "1"]
        for number in range(3):
            argv += ["--nic", f"trace={self.path('trace')},capture={self.path('capture')},vf-port=echo,"
                     f"port=switch:a,vlan={number + 1}"]
        words = r"hvsim: (\d+) file descriptors are needed and (\d+) are free: .*\(ulimit -Hn, now (\d+)\)"
        # One is what the loader needs.
        for limit in (4, 5, 8, 12, 20, 40):
            text = self.refused(argv, words, prefix=["prlimit", f"--nofile={limit}:{limit}", "--"])
            self.assertEqual(text.count("hvsim:"), 1, text)
        needed, free, limit = map(int, re.search(words, text).groups())
        enough = limit - free + needed
        status, text = self.run_program("hvsim", [HVSIM, *argv],
                                        prefix=["prlimit", f"--nofile={enough}:{enough}", "--"])
        self.assertEqual(status, 0, text)

    def test_control_of_no_host(self):
        self.refused(["ctl", self.path("control.sock"), "stats"], "control.sock")

    def test_control_typos(self):
        control = self.host("sink").dir + "/control.sock"
        self.refused(["ctl", control, "statz"], "statz|command")
        self.refused(["ctl", control, "set", "0", "name=stal", "value=1"], "stal")
        self.refused(["ctl", control, "set", "0", "name=stall", "value=much"], "stall")
        self.refused(["ctl", control, "link", "7", "up=true"], "NIC")
