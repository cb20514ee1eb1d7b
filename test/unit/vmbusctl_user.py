#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""vmbusctl bind --user: who owns which file when, and what the helper may do.
Usage: vmbusctl_user.py VMBUSCTL"""
import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_tree import FREE_NIC, REOFFER_NOTE, UIO_NIC, Installed, Kernel, main

UID = 4321  # of nobody here
NODE = "dev/uio5"
LOCK = f"run/vmbusctl/{FREE_NIC}.user"
LEFT = f"is {UID}'s, and so are its channels' rings while a helper runs; who has the device can send any page of " \
       "this machine's memory\n"


def can_make_nodes():
    folder = tempfile.mkdtemp(prefix="hyperpoll-ctl.")
    try:
        os.mknod(os.path.join(folder, "n"), 0o20600, os.makedev(245, 0))
        os.chown(os.path.join(folder, "n"), UID, -1)
        return True
    except OSError:
        return False
    finally:
        shutil.rmtree(folder)


def can_mount():
    return shutil.which("unshare") is not None and subprocess.run(
        ["unshare", "-m", "mount", "--bind", "/etc/passwd", "/etc/passwd"], check=False, capture_output=True).returncode == 0


def wait_until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"still not: {what}")
        time.sleep(0.01)


@unittest.skipUnless(can_make_nodes(), "only root can make device nodes and give files away")
class User(Installed):
    def tree(self, tree=None, **kwargs):
        t = super().tree(tree, **kwargs)
        plain = t.put

        def put(relative, text):
            """What the kernel makes in /dev are nodes."""
            if relative.startswith("dev/uio"):
                self.node(relative, int(relative[7:]))
            else:
                plain(relative, text)

        t.put = put
        t.put("dev/uio0", "")
        self.addCleanup(self.end_helper)
        return t

    def node(self, relative, number):
        new = self.t.path("dev/.new")
        os.mknod(new, 0o20600, os.makedev(245, number))
        os.rename(new, self.t.path(relative))

    def end_helper(self):
        """Its file is gone with the tree; wait for it."""
        pid = self.helper()
        self.t.remove(LOCK)
        if pid:
            wait_until(lambda: not self.runs(pid), "the helper ends")

    def helper(self):
        """The process that has the lock's file open; None without one."""
        if not os.path.exists(self.t.path(LOCK)):
            return None
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if self.t.path(LOCK) in [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]:
                    return int(pid)
            except OSError:
                pass  # ended meanwhile
        return None

    def runs(self, pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def owner(self, relative):
        return os.lstat(self.t.path(relative)).st_uid

    def bind(self, *more, code=0):
        with Kernel(self.t) as kernel:
            got, out, err = self.run_ctl("bind", FREE_NIC, "--user", str(UID), *more)
        self.assertEqual(got, code, err)
        self.kernel = kernel
        return out, err

    def ring(self, relid, index=1, nic=FREE_NIC):
        self.t.channel(nic, relid, index, None)
        return self.t.device(nic, f"channels/{relid}/ring")

    def is_given(self, ring):
        wait_until(lambda: self.owner(ring) == UID, f"{ring} is handed over")

    def test_node_and_rings_and_back(self):
        t = self.tree()
        out, err = self.bind()
        self.assertEqual((out, err), (f"{FREE_NIC} is bound to uio_hv_generic as /dev/uio5\n"
                                      f"undo: vmbusctl unbind {FREE_NIC}\n{FREE_NIC} {LEFT}{REOFFER_NOTE}", ""))
        self.assertEqual((self.owner(NODE), os.lstat(t.path(NODE)).st_mode), (UID, 0o20600))
        self.assertEqual(self.owner("dev/uio0"), 0)
        first, second = self.ring(50), self.ring(51, 2)
        other = self.ring(60, 4, UIO_NIC)
        self.is_given(first)
        self.is_given(second)
        # Closed and opened again: new files.
        t.remove(os.path.dirname(first))
        self.is_given(self.ring(52))
        self.assertEqual(self.owner(other), 0)
        self.assertEqual(self.owner(t.device(FREE_NIC, "channels/50") if os.path.exists(
            t.path(t.device(FREE_NIC, "channels/50"))) else t.device(FREE_NIC, "state")), 0)
        helper = self.helper()
        with Kernel(t):
            code, _, err = self.run_ctl("unbind", FREE_NIC)
        self.assertEqual((code, err, self.owner(NODE)), (0, "", 0))
        self.assertFalse(self.runs(helper))
        self.assertFalse(os.path.exists(t.path(LOCK)))

    def test_helper_may_change_owners_and_nothing_else(self):
        self.tree()
        self.bind()
        with open(f"/proc/{self.helper()}/status", encoding="ascii") as status:
            lines = dict(line.rstrip("\n").split(":", 1) for line in status)
        lines = {key: value.split() for key, value in lines.items()}
        only_chown = ["0000000000000001"]
        self.assertEqual((lines["CapEff"], lines["CapPrm"], lines["CapBnd"]), (only_chown,) * 3)
        self.assertEqual((lines["CapInh"], lines["CapAmb"]), (["0000000000000000"],) * 2)
        self.assertEqual((lines["Uid"], lines["Gid"], lines["Groups"]), (["65534"] * 4, ["65534"] * 4, []))
        self.assertEqual(lines["NoNewPrivs"], ["1"])
        opened = {os.readlink(f"/proc/{self.helper()}/fd/{fd}").replace(self.t.root, "@")
                  for fd in os.listdir(f"/proc/{self.helper()}/fd")}
        self.assertEqual(opened, {"/dev/null", f"@/{LOCK}", f"@/{self.t.device(FREE_NIC)}"})

    def test_helper_kept_a_pipe_of_whoever_ran_bind_open(self):
        """And whoever read from it waited until unbind."""
        t = self.tree()
        os.mkfifo(t.path("pipe"))
        end = os.open(t.path("pipe"), os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, end)
        with_pipe = [sys.executable, "-c", "import os, sys; os.dup2(os.open(sys.argv[1], os.O_WRONLY), 20); "
                     "os.write(20, b'x'); os.execvp(sys.argv[2], sys.argv[2:])", t.path("pipe")]
        code, _, err = self.run_ctl("bind", "uio0", "--user", str(UID), wrap=with_pipe)
        self.addCleanup(t.remove, f"run/vmbusctl/{UIO_NIC}.user")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual((os.read(end, 2), os.read(end, 2)), (b"x", b""))

    def test_links_are_not_followed(self):
        t = self.tree()
        os.chmod(t.root, 0o755)  # where they lead must not be out of the helper's reach anyway
        self.bind()
        for name in ("victim", "linked", "elsewhere/ring"):
            t.put(name, "precious")
        t.link(t.device(FREE_NIC, "channels/50/ring"), t.path("victim"))
        os.makedirs(t.path(t.device(FREE_NIC, "channels/51")))
        os.link(t.path("linked"), t.path(t.device(FREE_NIC, "channels/51/ring")))
        t.link(t.device(FREE_NIC, "channels/52"), t.path("elsewhere"))
        t.put(t.device(FREE_NIC, "channels/x1/ring"), "")
        t.put(t.device(FREE_NIC, "channels/2048/ring"), "")
        self.is_given(self.ring(60))
        self.is_given(self.ring(61))  # of another look
        for name in ("victim", "linked", "elsewhere/ring", t.device(FREE_NIC, "channels/x1/ring"),
                     t.device(FREE_NIC, "channels/50/ring"), t.device(FREE_NIC, "channels/2048/ring")):
            self.assertEqual(self.owner(name), 0, name)

    def test_helper_ends_with_the_binding(self):
        t = self.tree()
        self.bind()
        helper = self.helper()
        t.set_driver(FREE_NIC, "hv_netvsc")
        wait_until(lambda: not self.runs(helper), "the helper ends")
        ring = self.ring(50)
        with Kernel(t):
            t.remove(t.device(FREE_NIC, "uio"))
            t.make_netdev(FREE_NIC, "eth1")
            code, _, err = self.run_ctl("unbind", FREE_NIC)
        self.assertEqual((code, err, self.owner(ring)), (0, "", 0))
        self.assertFalse(os.path.exists(t.path(LOCK)))

    def test_a_device_that_took_the_name_is_not_touched(self):
        t = self.tree()
        self.bind()
        helper = self.helper()
        os.rename(t.path(t.device(FREE_NIC)), t.path("old"))
        shutil.copytree(t.path("old"), t.path(t.device(FREE_NIC)), symlinks=True)
        ring = self.ring(50)
        t.remove("old/driver")  # as all of its files
        wait_until(lambda: not self.runs(helper), "the helper ends")
        self.assertEqual(self.owner(ring), 0)

    def test_a_second_time_and_another_user(self):
        self.tree()
        self.bind()
        helper = self.helper()
        self.assertIn("already bound", self.bind()[0])
        self.assertEqual(self.helper(), helper)
        self.check(["bind", FREE_NIC, "--user", "4322"], 1, "",
                   f"{FREE_NIC} is {UID}'s already: 'vmbusctl unbind {FREE_NIC}' takes it back")
        os.kill(helper, signal.SIGKILL)
        wait_until(lambda: not self.runs(helper), "it is dead")
        self.assertIn(f"    user         {UID} (uid {UID}), no helper: one queue\n",
                      self.run_ctl("status", FREE_NIC)[1])
        out = self.run_ctl("doctor")[1]
        self.assertIn(f"warn  nic {FREE_NIC}  is {UID}'s, but nothing hands its subchannels' rings over: he can "
                      f"use one queue\n{'':18}fix: vmbusctl bind {FREE_NIC} --user {UID}\n", out)
        self.bind()
        self.is_given(self.ring(50))
        self.assertIn(f"    user         {UID} (uid {UID}), a helper hands over rings\n",
                      self.run_ctl("status", FREE_NIC)[1])
        code, out, _ = self.run_ctl("status", FREE_NIC, "--json")
        device = json.loads(out)["devices"][0]
        self.assertEqual((code, device["given_to"], device["helper"]), (0, str(UID), True))
        self.assertIn(f"ok    nic {FREE_NIC}  is {UID}'s, with a helper for its subchannels\n",
                      self.run_ctl("doctor")[1])

    def test_the_helper_of_another_user_was_taken_for_his(self):
        """The node was taken back by hand: the rings still went to the first."""
        self.tree()
        self.bind()
        helper = self.helper()
        os.chown(self.t.path(NODE), 0, -1)
        code, _, err = self.run_ctl("bind", FREE_NIC, "--user", "4322")
        self.assertEqual((code, err), (0, ""))
        self.assertFalse(self.runs(helper))
        ring = self.ring(50)
        wait_until(lambda: self.owner(ring) != 0, "the ring is handed over")
        self.assertEqual((self.owner(ring), self.owner(NODE)), (4322, 4322))

    def test_a_helper_that_had_only_to_see_its_device_gone_was_taken_for_the_new_ones(self):
        """The host offered the device again, and bind was faster than the old helper's next look."""
        t = self.tree()
        self.bind()
        helper = self.helper()
        os.kill(helper, signal.SIGSTOP)
        os.rename(t.path(t.device(FREE_NIC)), t.path("old"))
        shutil.copytree(t.path("old"), t.path(t.device(FREE_NIC)), symlinks=True)
        t.remove("old/driver")
        done = []
        thread = threading.Thread(target=lambda: done.append(self.run_ctl("bind", FREE_NIC, "--user", str(UID))))
        thread.start()
        wait_until(lambda: done or not os.path.exists(t.path(LOCK)), "bind wants the old helper to end, or is done")
        os.kill(helper, signal.SIGCONT)
        thread.join(30)
        self.assertEqual((done[0][0], done[0][2]), (0, ""))
        wait_until(lambda: not self.runs(helper), "the old helper ends")
        self.is_given(self.ring(50))

    def test_whoever_locks_the_file_is_no_helper(self):
        """As status and doctor did, which only looked."""
        t = self.tree()
        self.bind()
        self.end_helper()
        with open(t.path(LOCK), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            code, _, err = self.run_ctl("bind", FREE_NIC, "--user", str(UID))
            self.assertEqual((code, err), (1, f"vmbusctl: cannot start the helper: another one of {FREE_NIC} did not end in "
                                           "3 s: try again\n"))
        self.bind()
        self.is_given(self.ring(50))

    def test_unbind_of_a_device_in_use_leaves_it_given(self):
        t = self.tree()
        self.bind()
        t.make_user(5151, "l2fwd", 5)
        code, _, err = self.run_ctl("unbind", FREE_NIC)
        self.assertEqual(code, 1)
        self.assertIn("/dev/uio5 is in use by l2fwd (pid 5151): end it first", err)
        self.assertEqual(self.owner(NODE), UID)
        self.is_given(self.ring(50))

    def unbind_while(self, helper, meanwhile):
        """unbind waits for the helper, which stands still; then this happens, and the helper goes on."""
        os.kill(helper, signal.SIGSTOP)
        done = []
        thread = threading.Thread(target=lambda: done.append(self.run_ctl("unbind", FREE_NIC)))
        thread.start()
        wait_until(lambda: not os.path.exists(self.t.path(LOCK)), "unbind wants the helper to end")
        meanwhile()
        thread.join(30)
        return done[0]

    def test_a_user_who_opened_the_device_while_it_went_was_not_seen(self):
        t = self.tree()
        self.bind()
        helper = self.helper()

        def opens():
            t.make_user(5151, "l2fwd", 5)
            os.kill(helper, signal.SIGCONT)

        code, _, err = self.unbind_while(helper, opens)
        self.assertEqual(code, 1)
        self.assertIn("/dev/uio5 is in use by l2fwd (pid 5151): end it first", err)
        self.assertEqual(t.get("sys/bus/vmbus/drivers/uio_hv_generic/unbind"), "")
        self.assertEqual(self.owner(NODE), UID)
        self.is_given(self.ring(50))

    def test_a_helper_that_stands_still_is_not_waited_for(self):
        self.tree()
        self.bind()
        helper = self.helper()
        with Kernel(self.t):
            code, _, err = self.unbind_while(helper, lambda: None)
        self.assertEqual((code, err), (0, f"vmbusctl: note: the helper of {FREE_NIC} did not end in 3 s\n"))
        self.assertEqual(self.owner(NODE), 0)
        ring = self.ring(50)
        os.kill(helper, signal.SIGCONT)
        wait_until(lambda: not self.runs(helper), "the helper ends")
        self.assertEqual(self.owner(ring), 0)

    def test_unbind_that_fails_gives_it_again(self):
        t = self.tree()
        self.bind()
        t.remove("sys/bus/vmbus/drivers/uio_hv_generic/unbind")
        code, _, err = self.run_ctl("unbind", FREE_NIC)
        self.assertEqual(code, 1)
        self.assertIn(f"undone: {FREE_NIC} is back as it was (driver uio_hv_generic)\n", err)
        self.assertEqual(self.owner(NODE), UID)
        self.is_given(self.ring(50))

    def test_a_node_that_is_another_device_is_not_given(self):
        for make in (lambda t, path: os.mknod(path, 0o20600, os.makedev(245, 6)),
                     lambda t, path: os.symlink(t.path("dev/uio0"), path),
                     lambda t, path: os.close(os.open(path, os.O_CREAT))):
            t = self.tree()

            def wrong(relative, number, t=t, make=make):
                make(t, t.path("dev/.new"))
                os.rename(t.path("dev/.new"), t.path(relative))

            self.node = wrong
            _, err = self.bind(code=1)
            self.assertIn("cannot change the owner of @/dev/uio5: it is not the device that sysfs names\n", err)
            self.assertIn(f"undone: {FREE_NIC} is back as it was (driver hv_netvsc)\n", err)
            self.assertEqual((self.owner("dev/uio0"), self.owner(NODE)), (0, 0))
            self.assertIsNone(self.helper())
            del self.node

    def test_dry_run(self):
        t = self.tree()
        out = self.run_ctl("bind", "eth1", "-n", "--user", str(UID))[1]
        self.assertTrue(out.endswith(f"chown {UID} @/dev/uioN\n# and a helper process, until unbind: chown {UID} "
                                     f"@/sys/bus/vmbus/devices/{FREE_NIC}/channels/*/ring\n"), out)
        self.bind()
        out = self.run_ctl("unbind", FREE_NIC, "-n")[1]
        self.assertTrue(out.startswith("chown root @/dev/uio5\n"), out)
        self.assertEqual(self.owner(NODE), UID)
        self.assertTrue(self.runs(self.helper()))
        self.assertEqual(t.get("sys/bus/vmbus/drivers/uio_hv_generic/unbind"), "")

    def test_lasting(self):
        t = self.tree()
        out, _ = self.bind("--persist", "--json")
        self.assertEqual(json.loads(out)["user"], str(UID))
        text = t.get(f"etc/systemd/system/hyperpoll-bind-{FREE_NIC}.service")
        self.assertIn("Type=forking\n", text)
        self.assertIn(f" bind --force --user {UID} {FREE_NIC}\n", text)

    def test_doctor_of_the_user(self):
        t = self.tree()
        self.bind()
        os.makedirs(t.path("dev/hugepages"))
        os.chmod(t.root, 0o755)
        self.program = self.built
        as_user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        code, out, err = self.run_ctl("doctor", wrap=["sh", "-c", "ulimit -l 8192; exec \"$@\"", "sh", *as_user])
        self.assertEqual(err, "")
        self.assertIn(f"warn  user        {UID} may not write to any mounted hugetlbfs\n{'':18}fix: give EAL "
                      f"--in-memory, or: mount -t hugetlbfs -o uid={UID},mode=0700 none /mnt/huge-{UID}, and "
                      "--huge-dir\n", out)
        self.assertIn(f"note  user        RLIMIT_MEMLOCK of {UID} must cover all memory of the application for the "
                      "PMD of a virtual function, which pins it and is 8192 KiB now\n", out)
        self.assertIn(f"ok    nic {FREE_NIC}  is {UID}'s\n", out)
        self.assertIn(f"warn  nic {UIO_NIC}  no permission to open @/dev/uio0\n{'':18}fix: as root: vmbusctl bind "
                      f"{UIO_NIC} --user $USER\n", out)
        os.chown(t.path("dev/hugepages"), UID, -1)
        self.assertNotIn("hugetlbfs", self.run_ctl("doctor", wrap=as_user)[1])

    def test_a_user_who_gives_it_to_himself(self):
        t = self.tree()
        os.chmod(t.root, 0o755)
        self.program = self.built
        code, out, err = self.run_ctl("bind", "uio0", "--user", str(UID),
                                      wrap=["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"])
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(err, "vmbusctl: cannot start the helper: @/run cannot be made (Permission denied): run as root\n")
        self.assertEqual(self.owner("dev/uio0"), 0)

    def test_wrong_users(self):
        self.tree()
        for user, message in (("root", "--user: root needs nothing given"), ("0", "--user: root needs nothing given"),
                              ("no-such-user", "--user: no user 'no-such-user' here: give a name or number of 'getent "
                               "passwd'")):
            self.check(["bind", "eth1", "--user", user], 2, "", message)

    @unittest.skipUnless(can_mount(), "needs a mount namespace")
    def test_an_account_whose_name_is_a_number_was_taken_for_the_owner(self):
        t = self.tree()
        self.bind()
        t.put("passwd", f"root:x:0:0::/:/bin/sh\n{UID}:x:5000:5000::/:/bin/sh\nalice:x:{UID}:{UID}::/:/bin/sh\n")
        mounted = ["unshare", "-m", "sh", "-c", f"mount --bind {t.path('passwd')} /etc/passwd && exec \"$@\"", "sh"]
        self.assertIn(f"    user         alice (uid {UID}), a helper hands over rings\n",
                      self.run_ctl("status", FREE_NIC, wrap=mounted)[1])
        code, _, err = self.run_ctl("bind", FREE_NIC, "--user", "alice", wrap=mounted)
        self.assertEqual((code, err), (0, ""))

    def test_names_of_the_machine(self):
        self.tree()
        with Kernel(self.t):
            code, out, err = self.run_ctl("bind", FREE_NIC, "--user", "daemon")
        self.assertEqual((code, err), (0, ""))
        self.assertIn(f"{FREE_NIC} is daemon's, and so are", out)
        self.assertEqual(self.owner(NODE), 1)


if __name__ == "__main__":
    main(__doc__)
