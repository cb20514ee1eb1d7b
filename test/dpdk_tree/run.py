#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""./run dpdk-tree: our drivers in a copy of the DPDK tree that DPDK_SDK names, built into a static testpmd that forwards.

Ends with "N passed, N failed".
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
import frames  # noqa: E402
from harness import BUILD, ROOT, Case, libdpdk, wait_until  # noqa: E402
from run import Result  # noqa: E402

SDK = os.environ.get("DPDK_SDK", "")
FOLDER = os.path.join(ROOT, f"{BUILD}-dpdk-tree")
TREE = os.path.join(FOLDER, "dpdk")
OPTIONS = ("--buildtype=release", "-Ddefault_library=static", "-Dplatform=generic", "-Dtests=false",
           "-Denable_drivers=bus/vdev,mempool/ring,net/netvsc,net/null", "-Denable_apps=test-pmd", "-Ddisable_libs=*",
           "-Denable_driver_sdk=true")


def run(*words, **kwargs):
    """Output of a command that must succeed."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **kwargs)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def have_tree():
    """A copy of the tree; of a git repository the release that is installed, or else its newest one."""
    if os.path.isdir(os.path.join(SDK, "lib/ethdev")):
        pack = ["tar", "c", "-C", SDK, "--exclude=./.git", "--exclude=./build*", "."]
    else:
        git = ["git", "-c", "safe.directory=*", "-C", SDK]
        tags = [tag for tag in run(*git, "tag", "--list", "v[0-9]*", "--sort=v:refname").split() if "rc" not in tag]
        installed = "v" + libdpdk("--modversion")
        pack = [*git, "archive", installed if installed in tags else tags[-1]]
    shutil.rmtree(TREE, ignore_errors=True)
    os.makedirs(TREE)
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packed:
        subprocess.run(["tar", "x", "--no-same-owner", "-C", TREE], stdin=packed.stdout, check=True)


def content():
    """Of every driver's file."""
    out = {}
    for folder, _, names in os.walk(os.path.join(TREE, "drivers")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                out[os.path.relpath(os.path.join(folder, name), TREE)] = file.read()
    return out


@unittest.skipUnless(SDK, "DPDK_SDK names no DPDK tree")
class DpdkTree(Case):
    limit = 1700

    def test_static_testpmd_of_the_tree(self):
        have_tree()
        own = content()
        verb = os.path.join(ROOT, "run")
        self.assertIn("has hyperpoll for drivers/net/netvsc", run(verb, "dpdk-tree", TREE))
        ours = content()
        run(verb, "dpdk-tree", TREE)
        self.assertEqual(content(), ours, "a second time is the same")
        # What is built lists all that was copied.
        with open(os.path.join(TREE, "drivers/net/netvsc/meson.build"), encoding="utf-8") as file:
            listed = file.read()
        for path in ours:
            if path.startswith("drivers/net/netvsc/hyperpoll") and path.endswith(".c"):
                self.assertIn(f"'{os.path.relpath(path, 'drivers/net/netvsc')}',", listed)
        # DPDK's own scripts want the distribution's Python, which has pyelftools.
        environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        build = os.path.join(TREE, "build")
        run("meson", "setup", build, TREE, *OPTIONS, env=environment)
        self.asks_for_the_bus(build, environment)
        log = run("ninja", "-C", build, "app/dpdk-testpmd", env=environment)
        self.assertEqual([line for line in log.splitlines() if "hyperpoll/" in line and "warning:" in line], [])
        self.forward(os.path.join(build, "app"))
        run(verb, "dpdk-tree", TREE, "--undo")
        self.assertEqual(content(), own)
        shutil.rmtree(FOLDER)

    def asks_for_the_bus(self, build, environment):
        """What VPP includes, and asks of a port, compiles with the tree's headers, which are installed."""
        installed = {os.path.basename(path) for path in
                     json.loads(run("meson", "introspect", "--installed", build, env=environment)).values()}
        self.assertEqual({"rte_bus_vmbus.h", "bus_vmbus_driver.h"} - installed, set())
        with open(self.path("bus.c"), "w", encoding="ascii") as file:
            file.write("#include <rte_bus_vmbus.h>\n#include <rte_ethdev.h>\n#include <bus_vmbus_driver.h>\n"
                       "struct rte_vmbus_device *f(const struct rte_eth_dev_info *info);\n"
                       "struct rte_vmbus_device *f(const struct rte_eth_dev_info *info)\n{\n"
                       "\treturn container_of(info->device, struct rte_vmbus_device, device);\n}\n")
        include = [build, *(os.path.join(TREE, folder) for folder in ("config", "drivers/net/netvsc", "lib/eal/x86/include",
                                                                      "lib/eal/linux/include"))]
        include += [path for path in glob.glob(os.path.join(TREE, "lib/*")) + glob.glob(os.path.join(TREE, "lib/*/include"))
                    if os.path.isdir(path)]
        run("cc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-march=corei7", "-include",
            "rte_config.h", *(f"-I{path}" for path in include), self.path("bus.c"))

    def forward(self, folder):
        """Frames of every size through that testpmd, back at the port as they were."""
        self.assertNotIn("librte_", run("ldd", os.path.join(folder, "dpdk-testpmd")))
        sent = frames.every_size(seed=80)
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')},rate=10K")
        host.hold()
        pmd = self.guest(host, plugin=None, env={"PATH": f"{folder}:{os.environ['PATH']}"})
        self.assertIn("net_netvsc", pmd.cmd("show port info 0"))
        pmd.start()
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 30, "all frames are back")
        self.assertEqual(pmd.quit(), 0)
        host.stop()
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")), sent)


if __name__ == "__main__":
    result = Result()
    unittest.defaultTestLoader.loadTestsFromTestCase(DpdkTree).run(result)
    bad = len(result.failures) + len(result.errors)
    print(f"{result.passed} passed, {bad} failed")
    sys.exit(bad != 0 or (not result.passed and not result.skipped))
