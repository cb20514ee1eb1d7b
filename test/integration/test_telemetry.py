# SPDX-License-Identifier: BSD-3-Clause
"""Telemetry of stock testpmd: its numbers against the frames at the ports, and at bad times."""
import importlib.util
import os
import re
import shutil
import socket
import threading
import unittest
import urllib.request

from harness import Case, ROOT, wait_until
from telemetry import Telemetry, by_script, path_of

ENDPOINTS = os.path.join(ROOT, "app/telemetry")
EXPORTER = shutil.which("dpdk-telemetry-exporter.py")  # since 23.11


def total(queues, name):
    return sum(queue[name] for queue in queues)


class Asked(Case):
    def guest_asked(self, host, **keys):
        pmd = self.guest(host, telemetry=True, **keys)
        telemetry = Telemetry(pmd)
        self.addCleanup(telemetry.close)
        return pmd, telemetry


    def forwarded(self, count=20000, queues=2):
        """Every frame of the generator there and back."""
        host = self.host(f"gen:size=60-1514,flows=64,window=256,count={count}")
        host.hold()
        pmd, telemetry = self.guest_asked(host, queues=queues)
        pmd.start("io")
        host.hold(False)
        wait_until(lambda: host.port()["verified"] >= count, 20, "all frames are back")
        self.assert_intact(host.port(), count)
        return host, pmd, telemetry


class Numbers(Asked):
    def test_counters_are_the_frames_at_the_port(self):
        count = 20000
        host, pmd, telemetry = self.forwarded(count)
        port = host.port()
        # Polling goes on, so that the last completions come in.
        wait_until(lambda: total(telemetry.queues(), "tx_completions_outstanding") == 0, 10,
                   "all sends are completed")
        queues = telemetry.queues()
        self.assertEqual(len(queues), 2)
        self.assertEqual(total(queues, "rx_frames"), count)
        self.assertEqual(total(queues, "tx_frames"), count)
        self.assertEqual(total(queues, "rx_bytes"), port["rx_bytes"])
        self.assertEqual(total(queues, "tx_bytes"), port["tx_bytes"])
        for queue in queues:
            self.assertGreater(queue["rx_frames"], 0)
            for name in ("rx_ring_used", "rx_completions_waiting", "rx_dropped_unpolled",
                         "rx_no_mbuf", "tx_errors"):
                self.assertEqual(queue[name], 0, name)
            # A batch has a frame at least, and a burst of testpmd's 32 at most.
            self.assertTrue(100 <= queue["rx_frames_per_100_batches"] <= 3200, queue)
            self.assertTrue(100 <= queue["tx_frames_per_100_sends"] <= 800, queue)
            self.assertLessEqual(queue["rx_batches"], queue["rx_polls"])
            self.assertLessEqual(queue["tx_sections_used"], queue["tx_sends"])
        # A reset of the statistics is none of these, from which rates are made.
        pmd.cmd("clear port stats all")
        self.assertEqual(total(telemetry.queues(), "rx_frames"), count)

    def test_info_is_what_testpmd_shows(self):
        host, pmd, telemetry = self.forwarded(2000)
        info = telemetry.cmd("/netvsc/info", 0)
        shown = pmd.cmd("show port info 0")
        self.assertEqual(telemetry.cmd("/netvsc/list"), [0])
        self.assertEqual(info["device"], host.guids[0])
        self.assertEqual(info["where"], host.where())
        self.assertEqual(info["backend"], host.backend)
        self.assertIn(f"NVSP {info['nvsp_version']}", shown)
        self.assertIn(f"MTU: {info['mtu']}", shown)
        self.assertEqual((info["state"], info["running"], info["link_up"]), ("running", 1, 1))
        self.assertEqual((info["rx_queues"], info["tx_queues"], info["channels"]), (2, 2, 2))
        self.assertEqual((info["path"], info["vf"], info["last_recovery"]),
                         ("synthetic", "none", "none"))
        self.assertGreaterEqual(info["send_sections"], info["send_sections_used"])
        pmd.stop()
        pmd.cmd("port stop 0")
        info = telemetry.cmd("/netvsc/info", 0)
        self.assertEqual((info["state"], info["running"], info["link_up"]), ("stopped", 0, 0))

    def test_same_by_the_script_of_dpdk(self):
        host, pmd, telemetry = self.forwarded(2000)
        pmd.stop()
        commands = ["/netvsc/list", "/netvsc/queue,0,1", "/netvsc/flight,0,5", "/netvsc/info,9"]
        answers = by_script(pmd, *commands)
        self.assertEqual(answers, [{name: telemetry.cmd(name, argument or None)} for name, _, argument in
                                   (c.partition(",") for c in commands)])
        self.assertEqual(answers[3], {"/netvsc/info": None})
        listed = by_script(pmd, "/")[0]["/"]
        for name in ("list", "info", "queue", "flight"):
            self.assertIn(f"/netvsc/{name}", listed)
        self.assertIn("port,queue", str(by_script(pmd, "/help,/netvsc/queue")))

    def test_ring_and_descriptors_fill_while_the_host_stands_still(self):
        host = self.host("gen:size=60,flows=4,rate=20K")
        pmd, telemetry = self.guest_asked(host, mode="txonly")
        host.set("stall", 1)
        pmd.start()
        queue = wait_until(
            lambda: next((q for q in telemetry.queues() if q["tx_no_descriptor"] + q["tx_ring_full"] +
                          q["tx_no_section"] > 0), None), 10, "something is full")
        self.assertGreater(queue["tx_completions_outstanding"], 0)
        self.assertGreater(queue["tx_sections_used"], 0)
        self.assertGreater(queue["tx_ring_used"], 0)
        self.assertGreaterEqual(telemetry.cmd("/netvsc/info", 0)["send_sections_used"],
                                queue["tx_sections_used"])
        pmd.stop()
        host.set("stall", 0)


class BadTimes(Asked):
    def test_bad_requests_are_null(self):
        pmd, telemetry = self.guest_asked(self.host("sink"),
                                          eal=["--log-level=pmd.net.hyperpoll:info"])
        for command, argument in (("info", None), ("info", "x"), ("info", "1"), ("info", "0,0"),
                                  ("info", "-1"), ("queue", "0"), ("queue", "0,1"),
                                  ("queue", "0,x"), ("queue", "7,0"), ("flight", "0,y"),
                                  ("flight", "65536")):
            self.assertIsNone(telemetry.cmd(f"/netvsc/{command}", argument), (command, argument))
        for reason in ("port 1 is not one of this driver; /netvsc/list names them",
                       "'0' is not a port and a queue, as in 0,1", "port 0 has no queue 1"):
            pmd.expect(re.escape(reason), 5)
        self.assertEqual(telemetry.cmd("/netvsc/info", 0)["state"], "running")

    def test_a_path_with_quotes_is_valid_json(self):
        folder = self.path('a "b" c')
        os.mkdir(folder)
        host = self.host("sink", directory=folder)
        _, telemetry = self.guest_asked(host)
        self.assertEqual(telemetry.cmd("/netvsc/info", 0)["where"], host.where())

    def test_a_port_of_another_driver_is_none(self):
        pmd, telemetry = self.guest_asked(self.host("sink"), eal=["--vdev=net_null0"], ports=2)
        self.assertEqual(len(telemetry.cmd("/ethdev/list")), 2)
        ours = telemetry.cmd("/netvsc/list")
        self.assertEqual(len(ours), 1)
        self.assertIsNone(telemetry.cmd("/netvsc/info", 1 - ours[0]))

    def test_asked_all_the_time_while_ports_come_and_go(self):
        """Whatever a control operation does: valid JSON, and frames go on."""
        host = self.host("gen:size=60-1514,flows=64,rate=20K", "sink")
        pmd, telemetry = self.guest_asked([host.device(0), host.device(1)], queues=2)
        over, answers, bad = threading.Event(), [0], []

        def ask():
            other = Telemetry(pmd)
            try:
                while not over.is_set():
                    for port in (0, 1):
                        for command, argument in (("list", None), ("info", port), ("flight", port),
                                                  ("queue", f"{port},0"), ("queue", f"{port},1")):
                            other.cmd(f"/netvsc/{command}", argument)
                            answers[0] += 1
            except (ValueError, OSError, KeyError) as error:
                bad.append(error)
            other.close()

        asking = threading.Thread(target=ask)
        asking.start()
        self.addCleanup(asking.join)
        self.addCleanup(over.set)
        for mtu in (9000, 1500):
            pmd.cmd("port stop 0")
            pmd.cmd(f"port config mtu 0 {mtu}")
            pmd.cmd("port start 0")
        pmd.cmd("port stop 1")
        pmd.cmd("port close 1")
        self.assertEqual(telemetry.cmd("/netvsc/list"), [0])
        self.assertIsNone(telemetry.cmd("/netvsc/info", 1))
        pmd.cmd("set portlist 0")
        pmd.start()
        before = host.port()["verified"]
        wait_until(lambda: host.port()["verified"] >= before + 2000, 10, "frames go on")
        asked = answers[0]
        wait_until(lambda: answers[0] > asked + 20 or bad, 10, "answers go on")
        over.set()
        asking.join()
        self.assertEqual(bad, [])
        self.assertEqual(pmd.quit(), 0)


class Exporter(Asked):
    def endpoint(self):
        spec = importlib.util.spec_from_file_location("netvsc", f"{ENDPOINTS}/netvsc.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_metrics_are_numbers_that_the_endpoint_describes(self):
        _, pmd, telemetry = self.forwarded(2000)
        pmd.stop()
        endpoint = self.endpoint()
        info, metrics = endpoint.info(), endpoint.metrics(telemetry)
        for name, value, labels in metrics:
            self.assertRegex(name, "^[a-z0-9_]+$")
            self.assertIsInstance(value, int, name)
            self.assertIn(info[name][1], ("gauge", "counter"), name)
            self.assertIn("port", labels)
        # Each once per port or queue, and all that is described.
        keys = [(name, *sorted(labels.items())) for name, _, labels in metrics]
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual({name for name, _, _ in metrics}, set(info))
        self.assertEqual(sum(v for name, v, _ in metrics if name == "rx_frames"), 2000)

    @unittest.skipUnless(EXPORTER, "DPDK has no dpdk-telemetry-exporter.py before 23.11")
    def test_exporter_of_dpdk_serves_them(self):
        _, pmd, _ = self.forwarded(2000)
        pmd.stop()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            number = probe.getsockname()[1]
        exporter = self.own(self.program("exporter", [
            EXPORTER, "-p", ENDPOINTS, "-s", path_of(pmd), "-o", f"prometheus://127.0.0.1:{number}"]))
        exporter.expect("listening on", 15)
        with urllib.request.urlopen(f"http://127.0.0.1:{number}", timeout=10) as answer:
            text = answer.read().decode()
        frames = re.findall(r'^dpdk_netvsc_rx_frames\{port="[^"]+", queue="\d"\} (\d+)$', text, re.M)
        self.assertEqual(sum(map(int, frames)), 2000, text)
        self.assertIn("# TYPE dpdk_netvsc_rx_frames counter", text)

