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
INSIDE = "/run/hvsim"
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

    def users_folder(self):
        path = self.mkdtemp()
        os.chown(path, USER, USER)
        return path

    def test_root_is_given_up(self):
        """A TAP that only root can make goes on, and a NIC is taken away and given back; what is
        written is written by a thread and into a file of the user's."""
        home = self.users_folder()
        host = self.host((f"trace={home}/trace,capture={home}/capture", "tap:hp0"),
                         f"pcap:out={home}/out", directory=self.path("sockets"),
                         prefix=self.net.prefix, args=["--user", WHO])
        self.assert_gave_up(host)
        self.assertEqual({name: os.stat(os.path.join(home, name)).st_uid
                          for name in os.listdir(home)},
                         {name: USER for name in ("trace", "capture", "out")})
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
        for name in ("trace", "capture"):
            self.assertGreater(os.stat(os.path.join(home, name)).st_size, 10000, name)

    def test_a_link_in_the_users_folder_is_not_followed_by_root(self):
        """It is the user's to put there, and names a file that only root may write."""
        home = self.users_folder()
        private = self.path("private")
        with open(private, "w", encoding="ascii") as file:
            file.write("of root")
        os.chmod(private, 0o600)
        link = os.path.join(home, "link")
        os.symlink(private, link)
        for words in (["--trace", link, "--nic", "port=sink"],
                      ["--nic", f"trace={link},port=sink"],
                      ["--nic", f"capture={link},port=sink"],
                      ["--nic", f"port=pcap:out={link}"],
                      ["--nic", f"vf-port=pcap:out={link},port=sink"]):
            status, text = self.run_program("hvsim", [
                HVSIM, "--dir", self.path("sockets"), "--user", WHO, *words])
            self.assertEqual(status, 1, text)
            self.assertRegex(text, f"{link}: Permission denied .*become user {USER}")
            with open(private, encoding="ascii") as file:
                self.assertEqual(file.read(), "of root", words)
            self.assertEqual(os.stat(private).st_uid, 0)

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
        with host.control() as control:
            control.rescind(0)
            os.chmod(host.dir, 0o755)
            os.chown(host.dir, 0, 0)
            with self.assertRaisesRegex(RuntimeError, f"Permission denied .*become user {USER}"):
                control.offer(0)
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

    # ---- the folder of all hosts ----

    def in_empty_run(self, *args):
        """hvsim with a /run of its own, where it is the first. It lies there, too: what else lies below /run, this
        checkout maybe, cannot be seen any more."""
        return self.own(self.program("hvsim", list(args), prefix=[
            *self.net.prefix, "unshare", "--mount", "sh", "-c",
            'exec 3< "$0" && mount -t tmpfs -o mode=755 none /run && install -m 755 /proc/self/fd/3 "$1" && umask 077 && '
            'exec "$@" 3<&-', HVSIM, INSIDE]))

    def beside(self, program, *argv, user=None):
        """(status, output) of what has that /run, too."""
        argv = [*self.net.prefix, "nsenter", f"--mount=/proc/{program.child.pid}/ns/mnt", "env", "-u", "XDG_RUNTIME_DIR",
                *(() if user is None else ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")), *argv]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
        return done.returncode, done.stdout

    def owner(self, program, path):
        status = os.stat(f"/proc/{program.child.pid}/root{path}")
        return status.st_uid, status.st_mode & 0o777

    def test_root_before_the_service_leaves_it_a_way(self):
        """The unit's folder is below that of root's hvsim, and the unit's user passes through it."""
        first = self.in_empty_run("--nic", "port=sink")
        first.expect("NIC 0 at /run/hyperpoll/")
        self.assertEqual(self.owner(first, "/run/hyperpoll"), (0, 0o755))
        # What RuntimeDirectory=hyperpoll/lab does.
        self.beside(first, "install", "-d", "-m", "700", "-o", str(USER), "-g", str(USER), "/run/hyperpoll/lab")
        status, text = self.beside(first, INSIDE, "--dir", "/run/hyperpoll/lab", "--nic", "port=sink",
                                   "--duration", "1", user=USER)
        self.assertEqual(status, 0, text)
        self.assertIn("NIC 0 at /run/hyperpoll/lab/", text)
        # Closed by its administrator, it is what the message names.
        self.beside(first, "chmod", "700", "/run/hyperpoll")
        for user, words in ((USER, ()), (None, ("--user", WHO))):
            status, text = self.beside(first, INSIDE, "--dir", "/run/hyperpoll/lab", "--nic", "port=sink", *words,
                                       user=user)
            self.assertEqual(status, 1, text)
            self.assertRegex(text, r"cannot use the directory /run/hyperpoll/lab: Permission denied at /run/hyperpoll; ")

    def test_users_hosts_have_folders_of_their_own(self):
        """The folder of all hosts stays root's, whoever is the first; and ctl finds what is in a user's."""
        first = self.in_empty_run("--user", WHO, "--nic", "port=sink")
        first.expect(f"NIC 0 at /run/hyperpoll/{USER}/")
        self.assertEqual(self.owner(first, "/run/hyperpoll"), (0, 0o755))
        self.assertEqual(self.owner(first, f"/run/hyperpoll/{USER}"), (USER, 0o700))
        status, text = self.beside(first, INSIDE, "ctl", "--json", "stats", "0")
        self.assertEqual(status, 0, text)
        status, text = self.beside(first, INSIDE, "--user", WHO, "--dir", "/run/hyperpoll", "--nic", "port=sink")
        self.assertEqual(status, 1, text)
        self.assertIn(f"or leave that out for /run/hyperpoll/{USER}", text)
        # As one that is his, or open, would not do.
        for change in (("chown", str(USER)), ("chmod", "777")):
            self.beside(first, *change, "/run/hyperpoll")
            status, text = self.beside(first, INSIDE, "--dir", "/run/hyperpoll/other", "--nic", "port=sink")
            self.assertEqual(status, 1, text)
            self.assertIn("the directory /run/hyperpoll is another user's, or others may write to it", text)
            self.beside(first, "chown", "0", "/run/hyperpoll")

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
        to report to."""
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
