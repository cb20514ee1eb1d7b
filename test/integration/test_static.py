# SPDX-License-Identifier: BSD-3-Clause
"""Applications that have DPDK and the driver linked into them: "pkg-config --static hyperpoll"."""
import os
import re
import signal
import subprocess
import unittest

import frames
from harness import BUILD, PLUGIN, ROOT, Case, libdpdk, memory_args, wait_until

ARCHIVE = os.path.join(BUILD, "drivers/librte_hyperpoll.a")
SOURCE = os.path.join(ROOT, "app/example/forward.c")


def static_example():
    """The example, linked with all of DPDK as its static libraries; made anew when it is older than the driver."""
    out = os.path.join(BUILD, "static/hyperpoll-forward")
    if os.path.exists(out) and os.path.getmtime(out) > max(map(os.path.getmtime, (ARCHIVE, SOURCE))):
        return out
    os.makedirs(os.path.dirname(out), exist_ok=True)
    # As installed, but for where the archive is.
    with open(os.path.join(BUILD, "meson-private/hyperpoll.pc"), encoding="utf-8") as file:
        text = re.sub(r"^libdir=.*$", f"libdir={os.path.dirname(ARCHIVE)}", file.read(), flags=re.M)
    with open(os.path.join(os.path.dirname(out), "hyperpoll.pc"), "w", encoding="utf-8") as file:
        file.write(text)
    path = ":".join(filter(None, [os.path.dirname(out), os.environ.get("PKG_CONFIG_PATH")]))
    flags = subprocess.run(["pkg-config", "--static", "--cflags", "--libs", "hyperpoll"], check=True, capture_output=True,
                           text=True, env={**os.environ, "PKG_CONFIG_PATH": path}).stdout.split()
    subprocess.run(["cc", "-O2", "-o", out, SOURCE, *flags], check=True, capture_output=True, text=True)
    return out


@unittest.skipUnless(os.path.exists(os.path.join(libdpdk("--variable=libdir"), "librte_eal.a")),
                     "this DPDK has no static libraries")
class Static(Case):
    limit = 120  # linking is part of the first test

    def setUp(self):
        super().setUp()
        try:
            self.app = static_example()
        except subprocess.CalledProcessError as error:
            self.fail(f"{error}\n{error.stderr}")

    def eal(self):
        return [self.app, "-l", "0", "--no-pci", "--no-telemetry", "--file-prefix", f"static{os.getpid()}", *memory_args()]

    def test_frames_through_an_application_without_shared_libraries(self):
        """DPDK's own bus is in it, too: whole archives have every constructor."""
        needed = subprocess.run(["readelf", "-d", self.app], check=True, capture_output=True, text=True).stdout
        self.assertNotIn("librte_", needed)
        sent = frames.every_size(seed=70)
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')},rate=10K")
        host.hold()
        app = self.own(self.program("static", [*self.eal(), "-a", host.device()]))
        app.expect("took the place of the in-tree bus", 30)
        app.expect("^forwarding", 30)
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 30, "all frames are back")
        app.signal(signal.SIGINT)
        self.assertEqual(app.wait(), 0)
        host.stop()
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")),
                                [frame[6:12] + frame[:6] + frame[12:] for frame in sent])

    def test_archive_has_no_names_for_others(self):
        """Another library's function of the same name, libvfio-user's for one, does not meet ours."""
        names = subprocess.run(["nm", "--defined-only", "--extern-only", "--format=posix", ARCHIVE], check=True,
                               capture_output=True, text=True).stdout
        self.assertEqual([line for line in names.splitlines() if not line.endswith(":")], [])
        self.assertIn("netvsc", subprocess.run(["nm", ARCHIVE], check=True, capture_output=True, text=True).stdout)

    @unittest.skipIf(PLUGIN is None, "the plugin is EAL's to find")
    def test_plugin_in_a_static_application_is_the_panic_that_is_documented(self):
        """It brings DPDK's shared libraries along, and they end the process before anything of ours runs."""
        status, text = self.run_program("static", [*self.eal(), "-d", PLUGIN])
        self.assertEqual(status, -signal.SIGABRT, text)
        panic = re.search(r"PANIC in (tailqinitfn_\w+)", text).group()
        with open(os.path.join(ROOT, "doc/messages.md"), encoding="utf-8") as file:
            self.assertIn(f'"{panic}():', file.read())
