# SPDX-License-Identifier: BSD-3-Clause
"""A guest of Hyper-V for documents whose reader is in one: eth0 with the default route, and eth1, a NIC of hvsim.

vmbusctl sees it in files (test/unit/vmbusctl_tree.py), where a thread does what the kernel does on a write; testpmd
sees the same adapter through the rig (test/uio), while it is bound to uio_hv_generic.
"""
import os
import shutil
import sys

from harness import BUILD, ROOT

sys.path.insert(0, os.path.join(ROOT, "test/unit"))

import vmbusctl_functions as functions  # noqa: E402  from the folder above
import vmbusctl_tree as trees  # noqa: E402

# Drivers of virtual functions, and the PCI ids of what they drive.
CONNECTX = {"driver": "mlx5_core", "ids": ("0x15b3", "0x1016")}
MANA = {"driver": "mana", "ids": ("0x1414", "0x00ba")}


class Machine(functions.Machine):
    """A kernel that calls an adapter eth1 again when it comes back."""

    def bind(self, name, driver):
        if driver == "hv_netvsc":
            self.tree.make_netdev(name, "eth1")
            self.tree.put(self.tree.device(name, "net/eth1/address"), functions.MAC + "\n")
        else:
            super().bind(name, driver)


class Guest:
    """With a virtual function below eth1, which NetworkManager configures; close() removes it."""

    def __init__(self, host, function):
        self.tree = tree = trees.Tree()
        self.host = host
        tree.add(trees.ROUTE_NIC, 40, monitor=7)
        tree.make_netdev(trees.ROUTE_NIC, "eth0")
        tree.add(host.guids[0], 41, monitor=8)
        tree.make_netdev(host.guids[0], "eth1")
        functions.function(tree, host.guids[0], **function)
        functions.network_manager(tree)
        self.kernel = Machine(tree)
        self.kernel.__enter__()

    def variables(self):
        """Those by which vmbusctl finds the files."""
        return {"HYPERPOLL_COMMANDS": self.tree.path("bin"), "SSH_CONNECTION": "",
                **{name: value for name, value in self.tree.environment().items() if name.startswith("HYPERPOLL")}}

    def prepare(self, folder):
        """Puts a user alice and a testpmd that is on the rig into files of this folder; the commands that have the
        reader's namespace use them."""
        users, testpmd = os.path.join(folder, "passwd"), os.path.join(folder, "testpmd")
        shutil.copy("/etc/passwd", users)
        with open(users, "a", encoding="ascii") as file:
            file.write("alice:x:54321:54321::/:/bin/sh\n")
        with open(testpmd, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\nunset {' '.join(self.variables())}\n"
                       f"if [ -e {self.tree.path(self.tree.device(self.host.guids[0], 'uio'))} ]; then\n"
                       f"export LD_PRELOAD={BUILD}/test/uio/libhyperpoll-rig.so RIG_IOVA=pa\n"
                       f"export RIG_SOCKETS={self.host.socket()}\nfi\nexec {shutil.which('dpdk-testpmd')} \"$@\"\n")
        os.chmod(testpmd, 0o755)
        return (f"mount --bind {users} /etc/passwd && mkdir -p /usr/local/bin && "
                f"cp {testpmd} /usr/local/bin/dpdk-testpmd")

    def close(self):
        self.kernel.__exit__()
        self.tree.close()
