# SPDX-License-Identifier: BSD-3-Clause
"""Hosts of every NVSP version that there has been (spec/nvsp.md §1)."""
import frames
from harness import SANITIZED, Case, Testpmd, wait_until

# Below 5 there are no subchannels and no RSS.
QUEUES = {"1": 1, "2": 1, "4": 1, "5": 2, "6": 2, "6.1": 2}


class OldHosts(Case):
    hvsim = SANITIZED

    def check_forwarding(self, nvsp):
        """Every size there and back, by copy and by reference; every byte compared."""
        sent = frames.every_size()
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host((f"nvsp={nvsp}",
                          f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}"))
        host.hold()
        pmd = self.guest([host.device(options=",tx_copybreak=512")], queues=QUEUES[nvsp])
        version = nvsp if "." in nvsp else {"1": "0.2", "2": "3.2"}.get(nvsp, nvsp + ".0")
        self.assertIn(f"Firmware-version: NVSP {version}", pmd.cmd("show port info 0"))
        pmd.start("io")
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 15, f"{len(sent)} frames are back")
        xstats = pmd.xstats()
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        self.assertGreater(min(xstats["tx_q0_by_reference"], xstats["tx_q0_aggregated"]), 100)
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")), sent,
                                ordered=QUEUES[nvsp] == 1)

    def check_one_queue_only(self, nvsp):
        host = self.host((f"nvsp={nvsp}", "sink"))
        pmd = self.own(Testpmd(host, queues=2))
        pmd.expect(r"rxq \(2\) can't be greater than max_rx_queues \(1\) of port 0", 20)

    def test_receive_buffer_that_a_host_before_nvsp_4_refuses(self):
        """What uio_hv_generic always has is too much for it."""
        host = self.host(("nvsp=2,recv=31M", "sink"))
        pmd = self.own(Testpmd(host))
        pmd.expect("before NVSP 4 it takes no receive buffer of more than 15 MiB, and this one "
                   "has 31", 20)
        pmd.expect("No probed ethernet devices", 5)


def add(name, check, *args):
    setattr(OldHosts, "test_" + name, lambda self: check(self, *args))


for v, most in QUEUES.items():
    add(f"nvsp_{v.replace('.', '_')}_every_size", OldHosts.check_forwarding, v)
    if most == 1:
        add(f"nvsp_{v}_has_one_queue_only", OldHosts.check_one_queue_only, v)
