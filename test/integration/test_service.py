# SPDX-License-Identifier: BSD-3-Clause
"""hvsim as a service: gives up root when its ports are open, and runs under its unit's rules."""
import ctypes.util
import os
import shutil
import socket
import subprocess
import sys
import unittest

from harness import BUILD, HVSIM, ROOT, Case, Namespace, needs_root, wait_until
from unprivileged import USER, readable

WHO = f"{USER}:{USER}"
UNIT = os.path.join(BUILD, "app/service/hvsim@.service")
PINGS = 20
needs_systemd = unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")


class Manager:
    """A service manager that only listens."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.settimeout(10)
        self.path = path

    def told(self):
        return self.socket.recv(4096).decode()


@needs_root
class Service(Case):
    limit = 90

    def setUp(self):
        super().setUp()
        self.net = Namespace()
        self.addCleanup(self.net.close)
        os.chmod(self.dir, 0o755)

    def status(self, program):
        with open(f"/proc/{program.child.pid}/status", encoding="ascii") as file:
            return dict(line.rstrip("\n").split(":", 1) for line in file)

    def assert_gave_up(self, program):
        """In every thread: they have their credentials each."""
        tasks = f"/proc/{program.child.pid}/task"
        self.assertGreater(len(os.listdir(tasks)), 2)
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/status", encoding="ascii") as file:
                status = dict(line.rstrip("\n").split(":", 1) for line in file)
            self.assertEqual(status["Uid"].split(), [str(USER)] * 4, status["Name"])
            self.assertEqual(status["Gid"].split(), [str(USER)] * 4, status["Name"])
            self.assertLessEqual(set(status["Groups"].split()), {str(USER)}, status["Name"])
            for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                self.assertEqual(int(status[name], 16), 0, f"{status['Name']}: {name}")
            self.assertEqual(status["NoNewPrivs"].strip(), "1", status["Name"])

    def ping(self):
        out = self.net.run("ping", "-n", "-c", PINGS, "-i", "0.01", "-s", "1000", "192.0.2.2")
        self.assertIn(f"{PINGS} received", out)
        self.assertNotIn("wrong data", out)

    def network(self):
        self.net.run("ip", "addr", "add", "192.0.2.1/24", "dev", "hp0")
        self.net.run("ip", "link", "set", "hp0", "up")
        self.net.run("ip", "neigh", "add", "192.0.2.2", "lladdr", "00:15:5d:48:00:01", "dev", "hp0")

    # ---- started as root ----

    def test_root_is_given_up(self):
        """A TAP that only root can make goes on, and a NIC is taken away and given back."""
        host = self.host("tap:hp0", directory=self.path("sockets"), prefix=self.net.prefix,
                         args=["--user", WHO])
        self.assert_gave_up(host)
        self.assertEqual(os.stat(host.dir).st_uid, USER)
        self.assertEqual(os.stat(host.dir).st_mode & 0o777, 0o700)
        self.assertEqual({os.lstat(os.path.join(host.dir, name)).st_uid
                          for name in os.listdir(host.dir)}, {USER})
        self.network()
        pmd = self.guest(host, mode="icmpecho")
        pmd.start()
        self.ping()
        host.request("rescind", 0)
        wait_until(lambda: not os.path.exists(host.socket()), 10, "the socket is gone")
        host.request("offer", 0)
        wait_until(lambda: host.stats()["state"] == "running", 20, "the guest is back")
        self.ping()
        pmd.quit()
        self.assertEqual(host.stop(), 0)
        self.assertFalse([name for name in os.listdir(host.dir) if name.endswith(".sock")])

    def test_guests_find_it_by_guid(self):
        """In a folder that was named to them; hvsim as a user is trusted only in a folder of its."""
        host = self.host("echo", directory=self.path("sockets"), args=["--user", WHO])
        env = {"HYPERPOLL_VFIO_USER_DIRS": host.dir}
        self.guest([f"vmbus:{host.guids[0]}"], env=env).quit()
        os.chmod(host.dir, 0o770)
        pmd = self.program("testpmd", ["dpdk-testpmd", "--no-huge", "-m", "128", "--no-pci",
                                       "--no-telemetry", "-d", self.plugin(), "-a",
                                       host.device(), "--", "-i"])
        self.own(pmd).expect("served by another user", 20)

    def plugin(self):
        from harness import PLUGIN
        return PLUGIN

    def test_what_the_user_may_not(self):
        """Said at once, or by the command that needs it."""
        folder = self.mkdtemp()
        os.chmod(folder, 0o755)
        status, text = self.run_program("hvsim", [HVSIM, "--dir", folder, "--user", WHO,
                                                  "--nic", "port=sink"])
        self.assertEqual(status, 1)
        self.assertRegex(text, f"user {USER} cannot use the directory {folder}: .*chown")
        self.assertEqual(os.listdir(folder), [])
        host = self.host("sink", directory=self.path("sockets"), args=["--user", WHO])
        host.request("rescind", 0)
        os.chmod(host.dir, 0o755)
        os.chown(host.dir, 0, 0)
        with self.assertRaisesRegex(RuntimeError, f"Permission denied .*become user {USER}"):
            host.request("offer", 0)
        os.chown(host.dir, USER, USER)
        host.request("offer", 0)
        wait_until(lambda: os.path.exists(host.socket()), 10, "the NIC is served again")

    def test_wrong_users(self):
        for word, why in (("nosuchuser", "no user 'nosuchuser'"), ("root", "that is root"),
                          ("0", "that is root"), ("54321", "no account"), ("", "needs NAME"),
                          ("nobody:nosuchgroup", "no group 'nosuchgroup'")):
            status, text = self.run_program("hvsim", [HVSIM, "--user", word, "--nic", "port=sink"])
            self.assertEqual(status, 2, text)
            self.assertIn(why, text)
            self.assertEqual(len(text.strip().splitlines()), 1, text)
        setpriv = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        folder = self.mkdtemp()
        os.chown(folder, USER, USER)
        status, text = self.run_program("hvsim", [readable(HVSIM), "--dir", folder, "--user",
                                                  "nobody", "--nic", "port=sink"], prefix=setpriv)
        self.assertEqual(status, 1, text)
        self.assertRegex(text, f"cannot become user nobody: this is user {USER}, and only root can")

    # ---- the unit ----

    @needs_systemd
    def test_units(self):
        """systemd understands them, and has little left to say against them."""
        for name in ("hvsim@.service", "hvsim-vm@.service"):
            source = os.path.join(BUILD, "app/service", name)
            if not os.path.exists(source):
                continue
            with open(source, encoding="utf-8") as file:
                text = file.read()
            program = text.split("ExecStart=")[1].split()[0]
            self.assertTrue(program.startswith("/"), program)
            unit = self.path(name)
            with open(unit, "w", encoding="utf-8") as file:
                file.write(text.replace(f"ExecStart={program}", f"ExecStart={HVSIM}"))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], text=True,
                                  capture_output=True, timeout=60)
            # It has a look at what the unit wants, too, and an opinion of it.
            said = [line for line in done.stderr.splitlines() if "hvsim" in line]
            self.assertEqual((done.returncode, said), (0, []), name)
            done = subprocess.run(["systemd-analyze", "security", "--offline=true",
                                   "--threshold=20", unit], text=True, capture_output=True,
                                  timeout=60)
            self.assertEqual(done.returncode, 0, f"{name}: {done.stdout[-200:]}{done.stderr}")

    @needs_systemd
    @unittest.skipUnless(ctypes.util.find_library("seccomp"), "needs libseccomp")
    def test_under_the_units_rules(self):
        """As systemd starts it: a user with CAP_NET_ADMIN, the system calls of the unit, a socket
        to report to. And a thread from before privileges went: the trace's."""
        manager = Manager(self.path("notify"))
        home = self.mkdtemp()
        os.chown(home, USER, USER)
        folder = os.path.dirname(os.path.abspath(__file__))
        confined = readable(os.path.join(folder, "confined.py"))
        rights = [f"--{kind}={'-all,+net_admin'}" for kind in ("inh-caps", "bounding-set")]
        host = self.host(
            (f"trace={home}/trace.pcapng", "tap:hp0"), directory=os.path.join(home, "sockets"),
            program=readable(HVSIM),
            args=["--user", WHO],
            prefix=[*self.net.prefix, "setpriv", f"--reuid={USER}", f"--regid={USER}",
                    "--clear-groups", *rights, "--ambient-caps=-all,+net_admin",
                    "--no-new-privs", "env", f"NOTIFY_SOCKET={manager.path}",
                    "/usr/bin/python3", confined, readable(UNIT)])
        self.assertEqual(manager.told(), "READY=1")
        self.assert_gave_up(host)
        self.assertEqual(self.status(host)["Seccomp"].strip(), "2")
        self.network()
        pmd = self.guest(host, mode="icmpecho", queues=2)
        pmd.start()
        self.ping()
        host.request("rings", 0)
        pmd.quit()
        host.request("rescind", 0)
        host.request("offer", 0)
        self.assertEqual(host.stop(), 0)
        self.assertEqual(manager.told(), "STOPPING=1")

    @needs_systemd
    @unittest.skipUnless(ctypes.util.find_library("seccomp"), "needs libseccomp")
    def test_the_rules_are_in_force(self):
        """What the unit forbids does not work: else the test above would show nothing."""
        confined = os.path.join(ROOT, "test/integration/confined.py")
        for code in ("import socket; socket.socket(socket.AF_INET)",
                     "import os; os.chroot('/')",
                     "import os; os.chown('/', -1, -1)",
                     "import mmap; mmap.mmap(-1, 4096, prot=7)"):
            child = subprocess.run([sys.executable, confined, UNIT, sys.executable, "-c", code],
                                   capture_output=True, timeout=60)
            self.assertEqual(child.returncode, -31, code)  # SIGSYS
        child = subprocess.run([sys.executable, confined, UNIT, sys.executable, "-c", "pass"],
                               capture_output=True, timeout=60)
        self.assertEqual(child.returncode, 0, child.stderr)
