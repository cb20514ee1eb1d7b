# SPDX-License-Identifier: BSD-3-Clause
"""Hosts in the field (spec/hosts.md §2), by what they do differently: frames pass, byte for byte."""
import frames
from harness import SANITIZED, Case, wait_until

# NVSP version and link speed that the guest sees.
PROFILES = {"ws2016": ("6.0", "10 Gbps"), "ws2019": ("6.1", "10 Gbps"),
            "ws2022": ("6.1", "40 Gbps"), "openhcl": ("6.1", "200 Gbps")}


def untagged(frame):
    """Of two tags the host loses one on each way: the driver sends them where the host looks."""
    while frame[12:14] == b"\x81\0":
        frame = frame[:12] + frame[16:]
    return frame


class Profiles(Case):
    hvsim = SANITIZED

    def check_forwarding(self, profile, knobs=(), expected=lambda frame: frame):
        """Everything that may come, and every size; there and back, by copy and by reference."""
        sent = frames.mixed_capture() + frames.every_size()
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host((f"profile={profile},spoof=on",
                          f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}"))
        for name, value in knobs:
            host.set(name, value)
        host.hold()
        pmd = self.guest([host.device(options=",tx_copybreak=512")], queues=2)
        version, speed = PROFILES[profile]
        info = pmd.cmd("show port info 0")
        self.assertIn(f"Firmware-version: NVSP {version}", info)
        self.assertIn(f"Link speed: {speed}", info)
        pmd.start("io")
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 15, f"{len(sent)} frames are back")
        stats, xstats = pmd.stats(), pmd.xstats()
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        self.assertEqual((stats["RX-packets"], stats["RX-errors"]), (len(sent), 0))
        self.assertEqual(xstats["rx_malformed"], 0)
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")),
                                [expected(frame) for frame in sent], ordered=False)

    def test_host_that_leaves_vlan_tags_in_the_frame(self):
        self.check_forwarding("ws2022", (("vlan_ppi", "off"),))

    def test_host_that_loses_vlan_tags(self):
        """OpenVMM before May 2026: what else is in the frames arrives."""
        self.check_forwarding("openhcl", (("vlan_ppi", "drop"),), untagged)


for name in PROFILES:
    setattr(Profiles, f"test_{name}", lambda self, name=name: self.check_forwarding(name))
