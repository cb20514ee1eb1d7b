# SPDX-License-Identifier: BSD-3-Clause
"""A user without capabilities on the UIO backend, in copy-only mode.

The rig runs in the user's process, so its files are the user's. RIG_DENY makes them files that
nobody may open; Root, a thread with the tests' privileges, makes them root's, as the kernel's are,
and from there on `vmbusctl bind --user` has its part.
"""
import glob
import os
import re
import subprocess
import threading
import unittest

import rig
from harness import BUILD, wait_until
from unprivileged import USER, Unprivileged, readable

FRAMES = 10000
VMBUSCTL = os.path.join(BUILD, "app/vmbusctl/vmbusctl")


class Root(threading.Thread):
    """Makes the ring files of the tree root's as soon as they appear."""

    def __init__(self, tree):
        super().__init__(daemon=True)
        self.tree, self.ended, self.made = tree, threading.Event(), 0
        self.start()

    def run(self):
        while not self.ended.wait(0.002):
            for path in glob.glob(f"{self.tree}/sys/bus/vmbus/devices/*/channels/*/ring"):
                try:
                    if os.stat(path).st_mode & 0o777 == 0:
                        os.chown(path, 0, 0)
                        os.chmod(path, 0o600)
                        self.made += 1
                except FileNotFoundError:
                    pass  # the channel was closed

    def close(self):
        self.ended.set()
        self.join()


@unittest.skipUnless(os.geteuid() == 0, "only root can give files to a user")
class User(Unprivileged):
    limit = 90

    def setUp(self):
        super().setUp()
        self.tree = self.users_folder()
        self.library = readable(rig.LIBRARY)

    def on_rig(self, host, **env):
        keys = {name: env.pop(name) for name in ("queues",) if name in env}
        return self.user_testpmd(host, env={"RIG_DIR": self.tree, "LD_PRELOAD": self.library, **env},
                                 memory=["--no-huge", "-m", "256"], **keys)

    def forwards(self, host, pmd):
        pmd.ready()
        self.assert_no_privileges(pmd)
        self.assertIn("copy-only mode", pmd.text)
        pmd.start()
        host.hold(False)
        wait_until(lambda: host.port()["verified"] >= FRAMES, 40, "all frames are back")
        self.assert_intact(host.port(), FRAMES)

    def generator(self):
        host = self.user_host(f"gen:size=60-1514,flows=64,rate=10K,count={FRAMES}")
        host.hold()
        return host

    def vmbusctl(self, *arguments):
        """With the rig's sysfs and devices of the same numbers elsewhere, as the rig's are plain files."""
        environment = {**os.environ, "HYPERPOLL_SYSFS_ROOT": f"{self.tree}/sys", "HYPERPOLL_ROOT": self.dir,
                       "HYPERPOLL_DEV_ROOT": self.path("dev")}
        return subprocess.run([VMBUSCTL, *arguments], env=environment, capture_output=True, text=True, timeout=30,
                              check=False)

    def test_one_queue(self):
        host = self.generator()
        pmd = self.on_rig(host, RIG_DENY="rings")
        self.forwards(host, pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_several_queues_with_rings_handed_over(self):
        """bind --user while EAL looks at the device; the helper gives each ring as it appears."""
        host = self.generator()
        root = Root(self.tree)
        self.addCleanup(root.close)
        pmd = self.on_rig(host, queues=4, RIG_DENY="rings")
        device = f"{self.tree}/sys/bus/vmbus/devices/{host.guids[0]}"
        uio = wait_until(lambda: glob.glob(f"{device}/uio/uio*"), 20, "the device is in sysfs")
        number = int(os.path.basename(uio[0])[3:])
        os.makedirs(self.path("dev"))
        node = self.path(f"dev/uio{number}")
        os.mknod(node, 0o20600, os.makedev(245, number))
        done = self.vmbusctl("bind", host.guids[0], "--user", str(USER))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(os.stat(node).st_uid, USER)
        self.forwards(host, pmd)
        rings = [path for path in glob.glob(f"{device}/channels/*/ring") if os.stat(path).st_uid == USER]
        self.assertEqual((root.made, len(rings)), (3, 4))  # the primary's is the rig's own
        lock = self.path(f"run/vmbusctl/{host.guids[0]}.user")
        self.assertIn("a helper hands over rings", self.vmbusctl("status").stdout)
        self.assertEqual(pmd.quit(), 0)
        os.unlink(lock)  # as unbind does, for which the rig has no driver files
        wait_until(lambda: not self.held(lock), 5, "the helper ends", probe=True)

    def held(self, lock):
        """Is there a process with the file open?"""
        for link in glob.glob("/proc/[0-9]*/fd/*"):
            try:
                if os.readlink(link).startswith(lock):
                    return True
            except OSError:
                pass
        return False

    def test_several_queues_without_helper(self):
        """A sentence that says what is missing; one queue works then."""
        host = self.generator()
        root = Root(self.tree)
        self.addCleanup(root.close)
        pmd = self.on_rig(host, queues=4, RIG_DENY="rings")
        said = pmd.expect(r"no permission for \S+/channels/\d+/ring, which is root's when it appears: "
                          r"'vmbusctl bind (\S+) --user NAME', run by root, has a helper that hands it over; or use "
                          "one queue", 30)
        self.assertEqual(said.group(1), host.guids[0])
        pmd.close()
        self.tree = self.users_folder()
        pmd = self.on_rig(host, RIG_DENY="rings")
        self.forwards(host, pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_device_that_is_not_given(self):
        host = self.generator()
        pmd = self.on_rig(host, RIG_DENY="node")
        pmd.expect(r"no permission for /dev/uio\d+: run as root, or have root run 'vmbusctl bind "
                   f"{re.escape(host.guids[0])} --user NAME' first", 20)
