# SPDX-License-Identifier: BSD-3-Clause
"""Programs that run as a user without capabilities, groups and account; as whoever runs the tests
when that is not root."""
import atexit
import os
import shutil
import stat
import tempfile

from harness import HVSIM, PLUGIN, Case, Host, Testpmd, system_folder

USER = 54321 if os.geteuid() == 0 else os.geteuid()


def readable(path):
    """The same file where the user can read it: a checkout may be below a private folder."""
    folder = os.path.realpath(path)
    reachable = os.stat(folder).st_mode & stat.S_IROTH
    while folder != "/":
        folder = os.path.dirname(folder)
        reachable = reachable and os.stat(folder).st_mode & stat.S_IXOTH
    if reachable or os.geteuid() != 0:
        return path
    public = tempfile.mkdtemp(prefix="hyperpoll-public-", dir=system_folder())
    atexit.register(shutil.rmtree, public, ignore_errors=True)
    os.chmod(public, 0o755)
    return shutil.copy2(path, public)


class Unprivileged(Case):
    def setUp(self):
        super().setUp()
        self.home = self.users_folder()
        self.prefix = ["env", "-u", "RUNTIME_DIRECTORY", f"XDG_RUNTIME_DIR={self.home}", f"HOME={self.home}"]
        if os.geteuid() == 0:
            self.prefix += ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                            "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]

    def users_folder(self):
        path = self.mkdtemp()
        os.chown(path, USER, USER)
        return path

    def user_host(self, *nics):
        """hvsim in its default place, for this user."""
        return self.own(Host(os.path.join(self.home, "hyperpoll"), *nics, prefix=self.prefix,
                             program=readable(HVSIM))).ready()

    def user_testpmd(self, host, devices=None, **keys):
        """testpmd with the NICs found by their GUIDs alone."""
        devices = devices or [f"vmbus:{guid}" for guid in host.guids]
        return self.own(Testpmd(devices, prefix=self.prefix, plugin=readable(PLUGIN), **keys))

    def assert_no_privileges(self, program):
        with open(f"/proc/{program.child.pid}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":", 1) for line in file)
        self.assertEqual(status["Uid"].split(), [str(USER)] * 4)
        for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
