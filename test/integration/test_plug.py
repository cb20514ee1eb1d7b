# SPDX-License-Identifier: BSD-3-Clause
"""How devices are found: in a folder, by name, while the application runs, or left to others."""
import re

from harness import PLUGIN, Case, lcore_args, memory_args, wait_until


class Plug(Case):
    def forwards(self, host, number=0, frames=1000):
        before = host.port(number)["verified"]
        wait_until(lambda: host.port(number)["verified"] >= before + frames, 10,
                   f"NIC {number} forwards")

    def environment(self, host):
        return {"HYPERPOLL_VFIO_USER_DIRS": host.dir}

    def test_found_by_guid_in_a_folder(self):
        host = self.host("gen:rate=50K", "gen:rate=50K")
        pmd = self.guest([f"vmbus:{host.guids[1]}"], env=self.environment(host))
        self.assertIn("00:15:5D:48:00:02", pmd.text)
        pmd.start()
        self.forwards(host, 1)
        self.assertEqual(host.port(0)["tx_frames"], 0)

    def test_all_in_a_folder(self):
        host = self.host("gen:rate=50K", "gen:rate=50K", "sink")
        pmd = self.guest([], env=self.environment(host), ports=3)
        for number in (1, 2, 3):
            self.assertIn(f"00:15:5D:48:00:{number:02}", pmd.text)

    def test_blocked(self):
        host = self.host("gen:rate=50K", "gen:rate=50K")
        pmd = self.guest([], env=self.environment(host), ports=1,
                         eal=["-b", f"vmbus:{host.guids[0]}"])
        self.assertNotIn("00:15:5D:48:00:01", pmd.text)

    def test_attach_and_detach_while_forwarding(self):
        host = self.host("gen:rate=50K", "gen:rate=50K")
        pmd = self.guest([host.device(0)], args=["--port-topology=loop"])
        pmd.start()
        for _ in range(5):
            self.assertIn("Port 1 is attached", pmd.cmd(f"port attach {host.device(1)}"))
            self.forwards(host)
            pmd.cmd("stop")
            pmd.cmd("port start 1")
            pmd.cmd("set portlist 0,1")
            pmd.start()
            self.forwards(host, 1)
            pmd.cmd("stop")
            pmd.cmd("port stop 1")
            self.assertIn("Device is detached", pmd.cmd("port detach 1"))
            pmd.cmd("set portlist 0")
            pmd.start()
            self.forwards(host)
        self.assertEqual((host.port(0)["corrupt"], host.port(1)["corrupt"]), (0, 0))
        self.assertEqual(pmd.quit(), 0)

    def shown_name(self, pmd, port):
        return re.search("^Device name: (.*)$", pmd.cmd(f"show port info {port}"), re.M)[1].strip()

    def test_a_port_has_the_name_that_its_user_chose(self):
        host = self.host("gen:rate=50K", "gen:rate=50K")
        pmd = self.guest([f"vmbus:{host.guids[0]},name=wan0"], env=self.environment(host),
                         args=["--port-topology=loop"])
        self.assertEqual(self.shown_name(pmd, 0), "wan0")
        pmd.start()
        self.assertIn("Port 1 is attached", pmd.cmd(f"port attach vmbus:{host.guids[1]}"))
        self.assertEqual(self.shown_name(pmd, 1), host.guids[1])
        self.forwards(host)
        pmd.stop()
        # The device is still called by its GUID, and its port is found with it.
        pmd.cmd("port stop 0")
        self.assertIn("is detached", pmd.cmd(f"device detach vmbus:{host.guids[0]}"))
        self.assertIn("Port 0 is attached",
                      pmd.cmd(f"port attach vmbus:{host.guids[0]},name=lan0"))
        self.assertEqual(self.shown_name(pmd, 0), "lan0")
        self.assertEqual(self.shown_name(pmd, 1), host.guids[1])
        self.assertEqual(pmd.quit(), 0)

    def test_a_name_that_cannot_be_is_refused_and_the_nic_is_free(self):
        host = self.host("gen:rate=50K", "gen:rate=50K")
        pmd = self.guest([f"vmbus:{host.guids[0]},name=wan0"], env=self.environment(host))
        for name, words in (("wan0", "another port has this name"),
                            ("x" * 64, "give a name of 1 to 63"), ("a:b", "give a name of 1 to 63"),
                            (host.guids[0], "another GUID")):
            text = pmd.cmd(f"port attach vmbus:{host.guids[1]},name={name}")
            self.assertIn(words, text)
            self.assertIn("Failed to attach", text)
        self.assertIn("Port 1 is attached",
                      pmd.cmd(f"port attach vmbus:{host.guids[1]},name=lan0"))
        self.assertEqual(self.shown_name(pmd, 1), "lan0")

    def test_yields_to_the_in_tree_driver_when_asked(self):
        host = self.host("sink")
        status, text = self.run_program("testpmd", [
            "dpdk-testpmd", *lcore_args(), "--no-pci", "--no-telemetry", *memory_args(),
            "-d", PLUGIN, "-a", host.device(), "--", "--nb-ports=1", "--total-num-mbufs=2048"],
            env={"HYPERPOLL_YIELD": "1"})
        self.assertNotEqual(status, 0)
        self.assertNotIn("took the place", text)
        self.assertIn("No probed ethernet devices", text)
