# SPDX-License-Identifier: BSD-3-Clause
"""Several processes on one port: DPDK's own programs for that, unmodified, and what becomes of the others when one ends."""
import collections
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

import examples
import frames
from harness import Case, Host, PLUGIN, PROMPT, Program, SERIAL, Testpmd, needs_root, pmd_folder, wait_until
from vf_network import VfNetwork, af_packet


class SecondTestpmd(Testpmd):
    """A secondary, which has the primary's ports."""

    def __init__(self, argv, ports):
        Program.__init__(self, "second testpmd", argv)
        self.ports = ports


def same_pools():
    """
    Processes name what a pool is made of by its number in a list of what has been loaded, in that order. testpmd has
    been linked with some of that, programs for capture with none: they shall load it before the rest, too.
    """
    linked = subprocess.run(["ldd", shutil.which("dpdk-testpmd")], check=True, capture_output=True, text=True).stdout
    return {"LD_PRELOAD": ":".join(re.findall(r"=> (\S*librte_mempool_\S+)", linked))}


def first_is_broken(program):
    """Was the secondary inside of a burst when it was killed? Then the port says so and wants a reset."""
    return "a process was ended inside of a burst" in program.text


@needs_root
class Processes(Case):
    limit = 150  # compiling is part of the first test of an example

    def setUp(self):
        super().setUp()
        # Memory that processes share is files.
        self.huge = tempfile.mkdtemp(prefix="hyperpoll-huge-", dir="/run")
        subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", self.huge], check=True)
        self.addCleanup(os.rmdir, self.huge)
        self.addCleanup(subprocess.run, ["umount", "-l", self.huge], check=True)
        self.addCleanup(os.environ.pop, "RIG_DIR", None)
        self.new_group()

    def new_group(self):
        """Processes that start from now on have nothing to do with those before."""
        self.prefix = f"hyperpoll{next(SERIAL)}"
        os.environ["RIG_DIR"] = self.mkdtemp()  # on the rig they see one tree of devices

    def shared(self, prefix=None):
        """EAL options of all processes of one group."""
        return ["--file-prefix", prefix or self.prefix, "--huge-dir", self.huge]

    @staticmethod
    def allowed(host):
        return [word for number in range(len(host.guids)) for word in ("-a", host.device(number))]

    def primary(self, devices, eal=(), **keys):
        self.devices = self.allowed(devices)
        return self.guest(devices, memory=["-m", "192"], eal=["--proc-type=primary", *self.shared(), *eal], **keys)

    def secondary(self, name, *options, lcore=1, eal=(), prefix=None, env=None):
        """A program of its own that joins the primary's devices."""
        cpus = sorted(os.sched_getaffinity(0))
        lcores = [] if lcore is None else ["--lcores", f"{lcore}@{cpus[lcore % len(cpus)]}"]
        argv = [name, *lcores, *self.shared(prefix), "--no-pci", "-d", PLUGIN, *self.devices, *eal, "--", *options]
        return self.own(self.program(os.path.basename(name), argv, env=env))

    def proc_info(self, *options):
        program = self.secondary("dpdk-proc-info", *options, lcore=None)  # it has chosen one
        self.assertEqual(program.wait(30), 0, program.text)
        return program.text

    # ---- a reader ----

    def test_proc_info_reads_what_the_primary_does(self):
        """Statistics, link, RSS, registers: the numbers of the process that forwards."""
        host = self.host("gen:count=1000,rate=20K,size=60-1500", "sink")
        guest = self.primary(host)
        guest.start()
        wait_until(lambda: host.port(1)["tx_frames"] >= 1000, 30, "all are forwarded")
        text = self.proc_info("--stats")
        self.assertEqual([int(n) for n in re.findall(r"^ *RX-packets: (\d+)", text, re.M)], [1000, 0])
        self.assertEqual([int(n) for n in re.findall(r"^ *TX-packets: (\d+)", text, re.M)], [0, 1000])
        mine = guest.xstats(1)
        text = self.proc_info("--xstats")
        for name in ("tx_good_packets", "tx_good_bytes"):
            self.assertIn(f"{name}: {mine[name]}", text)
        text = self.proc_info("--show-port")
        self.assertEqual(text.count("Link up at 10 Gbps"), 2, text)
        self.assertEqual(text.count("-- mac 00:15:5D:48:00:0"), 2, text)
        self.assertEqual(text.count("key (hex) : 6d5a56da255b0ec2"), 2, text)
        text = self.proc_info("--show-port-private")
        self.assertEqual(len(re.findall(r"guest->host size \d+ write \d+", text)), 2, text)
        text = self.proc_info(f"--dump-regs={self.path('regs')}")
        self.assertEqual(text.count("Device (48795065-7230-4000-8000-00000000000"), 2, text)
        self.assertEqual(guest.quit(), 0)

    # ---- capture ----

    def capture(self, sent, start, ready, **keys):
        """Forward `sent` while a program of `start(path)` captures what port 0 receives."""
        host = self.pcap_host([sent, []], rate="2K")
        guest = self.primary(host, **keys)
        guest.start()
        path = self.path("captured.pcap")
        program = self.own(start(path))
        program.expect(ready, 30)
        host.hold(False)
        wait_until(lambda: host.port(1)["tx_frames"] >= len(sent), 30, "all are forwarded")
        # It looks into its ring now and then, and writes what it has when it ends.
        wait_until(lambda: os.path.getsize(path) >= sum(map(len, sent)) * 9 // 10, 20, "it has captured")
        program.signal(signal.SIGINT)
        self.assertEqual(program.wait(20), 0, program.text)
        self.assert_same_frames(frames.pcap_read(path), sent)
        self.assertEqual(guest.quit(), 0)
        host.stop()
        self.assert_same_frames(frames.pcap_read(self.outs[1]), sent)

    def test_pdump(self):
        self.capture(self.flows(500, 5), lambda path: self.secondary(
            "dpdk-pdump", f"--pdump=port=0,queue=*,rx-dev={path}", lcore=None, env=same_pools()), "capture for")

    def test_dumpcap(self):
        """It loads only what lies in DPDK's own folder of drivers: one with ours takes the place of that."""
        if "vfio-user=" not in Host.device(self.host("sink")):
            self.skipTest("it takes no arguments that put it on the rig")
        folder, own = self.path("pmds"), pmd_folder()
        shutil.copytree(own, folder, symlinks=True)
        os.chmod(folder, 0o755)
        shutil.copy2(PLUGIN, folder)
        inside = ["unshare", "-m", "sh", "-c", f'mount --bind {folder} {own} && exec "$0" "$@"']
        self.capture(self.flows(500, 6), lambda path: self.program("dumpcap", [
            "dpdk-dumpcap", f"--file-prefix={self.prefix}", "-i", "0", "-P", "-w", path], prefix=inside,
            env=same_pools()), "Capturing on", prefix=inside, plugin=None)

    # ---- bursts in every process ----

    def flows(self, count, seed):
        """Frames that a host spreads over the queues, each another one."""
        rand = random.Random(seed)
        return [frames.ether(0x0800, frames.ipv4(17, frames.udp(rand.randbytes(18 + n % 1400), 1000 + n % 64, 9),
                                                 src=f"198.18.0.{n % 50}", dst="198.18.1.1", ident=n))
                for n in range(count)]

    def pcap_host(self, sent, settings="", rate="4K"):
        """Two NICs: `sent[n]` comes in at NIC n, and what goes out is kept."""
        ports, self.outs = [], []
        for number in range(2):
            path = self.path(f"in{number}.pcap")
            frames.pcap_write(path, sent[number])
            self.outs.append(self.path(f"out{number}.pcap"))
            ports.append((settings, f"pcap:in={path},out={self.outs[number]},rate={rate}"))
        host = self.host(*ports)
        host.hold()
        return host

    def end(self, host, *programs):
        """End the programs, then the host; what came out of each NIC."""
        for program in programs:
            program.signal(signal.SIGINT)
        for program in programs:
            self.assertIn(program.wait(), (0, -signal.SIGINT), program.tail())
        host.stop()
        return [frames.pcap_read(out) for out in self.outs]

    def symmetric(self, host, number, prefix=None):
        """One of two processes of DPDK's symmetric_mp; each has a queue of each port."""
        cpus = sorted(os.sched_getaffinity(0))
        words = [examples.build("multi_process/symmetric_mp"), "--lcores", f"{number}@{cpus[number % len(cpus)]}",
                 *self.shared(prefix), "--no-pci", "--no-telemetry", "-d", PLUGIN, *self.allowed(host), "--proc-type",
                 "secondary" if number else "primary"]
        self.devices = self.allowed(host)
        if not number:
            words += ["-m", "192"]
        program = self.own(self.program(f"symmetric_mp {number}", [*words, "--", "-p", "3", "--num-procs=2",
                                                                   f"--proc-id={number}"]))
        program.expect("entering main loop|Lcore.*using ports|APP: Finished Process Init", 60)
        return program

    def test_symmetric_mp(self):
        """Two processes, a queue each: every frame comes out once, as it went in."""
        sent = [self.flows(2000, seed) for seed in (1, 2)]
        host = self.pcap_host(sent)
        programs = [self.symmetric(host, number) for number in range(2)]
        host.hold(False)
        wait_until(lambda: all(host.port(n)["tx_frames"] >= 2000 for n in range(2)), 40, "all are forwarded")
        text = self.proc_info("--stats")
        for queue in range(2):
            counts = re.findall(rf"^ *Stats reg  {queue} RX-packets: (\d+)", text, re.M)
            self.assertTrue(all(int(count) > 200 for count in counts), f"queue {queue}: {counts}")
        got = self.end(host, *programs[::-1])
        for number in range(2):
            self.assert_same_frames(got[number], sent[1 - number], ordered=False)

    def test_client_server_mp(self):
        """One process receives, two others send, each on a queue of its own: what does not come out is what they
        themselves have dropped and counted, because a ring was full or another had no processor just then."""
        sent = [self.flows(1000, seed) for seed in (3, 4)]
        host = self.pcap_host(sent, rate="1K")
        cpus = sorted(os.sched_getaffinity(0))
        folder, self.devices = "multi_process/client_server_mp/", self.allowed(host)
        server = self.own(self.program("mp_server", [
            examples.build(folder + "mp_server"), "--lcores", f"0@{cpus[0]},3@{cpus[-1]}", *self.shared(), "--no-pci",
            "--no-telemetry", "-d", PLUGIN, "-m", "192", *self.allowed(host),
            "--proc-type=primary", "--", "-p", "3", "-n", "2"]))
        server.expect("Finished Process Init", 60)
        clients = [self.secondary(examples.build(folder + "mp_client"), "-n", number, lcore=1 + number,
                                  eal=["--proc-type=secondary", "--no-telemetry"]) for number in range(2)]
        for client in clients:
            client.expect("Client process .* handling packets", 30)
        host.hold(False)

        def dropped():
            """As its screen says each second."""
            screen = server.text.rsplit("PORTS", 1)[-1]
            return [int(count) for count in re.findall(r"[rt]x_drop: +(\d+)", screen)]

        def forwarded():
            return sum(host.port(n)["tx_frames"] for n in range(2))

        def lost():
            """What is dropped, once the books are closed."""
            counts = dropped()
            return counts if len(counts) == 4 and forwarded() + sum(counts) == 2000 else None

        counts = wait_until(lost, 40, "each frame is forwarded, or counted as dropped")
        full, refused = counts[0] + counts[2], counts[1] + counts[3]
        print(f"     {full} dropped at rings that were full, {refused} that a send burst did not take", flush=True)
        self.assertLess(refused, 200)
        self.assertLess(full, 1000)
        got = self.end(host, *clients, server)
        self.assertEqual(sum(map(len, got)), 2000 - full - refused)
        for number in range(2):
            left = collections.Counter(got[number])
            left.subtract(sent[1 - number])
            self.assertFalse(+left, "a frame came twice, or was never sent")

    # ---- one of two ends, or changes something ----

    def pair(self, devices, **keys):
        """Two that forward, each with a queue of its own; the second one is a secondary."""
        args = ["--num-procs=2", *keys.pop("args", ())]
        first = self.primary(devices, queues=2, args=[*args, "--proc-id=0"], **keys)
        cpus = sorted(os.sched_getaffinity(0))
        argv = ["dpdk-testpmd", "--lcores", f"2@{cpus[-1]},3@{cpus[0]}", *self.shared(), "--no-pci",
                "--no-telemetry", "-d", PLUGIN, *self.devices, "--proc-type=secondary", "--", "-i", "--rxq=2", "--txq=2",
                "--forward-mode=io", "--nb-cores=1", "--no-flush-rx", *args, "--proc-id=1"]
        second = self.own(SecondTestpmd(argv, first.ports))
        second.expect(PROMPT, 30)
        return first, second

    def gen_host(self, settings="", rate="20K"):
        """Frames of many flows to NIC 0; those of each queue come back on the other NIC."""
        return self.host((settings, f"gen:rate={rate},size=60-1400,flows=64"), (settings, "sink"))

    def moving(self, host, nic=1, frames_more=200, timeout=10):
        """Frames go on coming out."""
        before = host.port(nic)["tx_frames"]
        wait_until(lambda: host.port(nic)["tx_frames"] > before + frames_more, timeout, "frames come out")

    def queue_counts(self, program, port=0):
        """Frames that each receive queue has received."""
        xstats = program.xstats(port)
        return [xstats[f"rx_q{queue}_packets"] for queue in range(2)]

    def test_secondary_refuses_what_is_the_primarys(self):
        """One sentence each, and nothing has changed."""
        host = self.gen_host()
        first, second = self.pair(host)
        first.start()
        second.start()
        before = first.cmd("show port info 0")
        for line in ("set promisc 0 off", "set allmulti 0 on", "port config mtu 0 1400", "set link-down port 0",
                     "mac_addr set 0 02:00:00:00:00:09", "port config 0 rss reta (0,1)",
                     "vlan set strip on 0", "mcast_addr add 0 01:00:5e:00:00:01"):
            text = second.cmd(line)
            self.assertIn("only the primary process can do that", text, line)
        self.moving(host)
        counts = self.queue_counts(first)
        wait_until(lambda: all(now > then for now, then in zip(self.queue_counts(first), counts)), 10,
                   "both processes receive")
        self.assertEqual(first.cmd("show port info 0"), before)
        second.send("quit\n")
        self.assertEqual(second.wait(), 0)
        first.stop()
        self.assertEqual(first.quit(), 0)

    def test_killed_secondary_leaves_the_primary_going(self):
        host = self.gen_host()
        first, second = self.pair(host, eal=["--log-level=bus.hyperpoll:debug"])
        first.start()
        second.start()
        self.moving(host)
        before = len(first.text)
        second.signal(signal.SIGKILL)
        second.wait()
        # Said when the primary has looked at what the other one had in its hands.
        first.expect(r"secondary process \d+ has ended", start=before)
        broken = first_is_broken(first)
        if not broken:
            self.moving(host)
        first.stop()
        for line in ("port stop all", "port reset all") if broken else ("port stop all",):
            first.cmd(line)
        first.cmd("port start all")
        first.start()
        self.moving(host)
        first.stop()
        self.assertEqual(first.quit(), 0)

    def test_killed_primary(self):
        """A secondary ends as usual, by itself or when asked; others begin anew on the same NICs."""
        examples.build("multi_process/symmetric_mp")  # which takes its time, and nobody shall wait for that below
        host = self.gen_host()
        first, second = self.pair(host)
        first.start()
        second.start()
        self.moving(host)
        first.signal(signal.SIGKILL)
        first.wait()
        second.expect("the primary process has ended", 5)
        began = time.monotonic()
        self.new_group()
        one, two = [self.symmetric(host, number) for number in range(2)]
        self.moving(host)
        print(f"     frames come out {time.monotonic() - began:.1f} s after the primary's end", flush=True)
        self.assertIn(second.wait(30), (0, 1), "it watches its primary by itself")
        one.signal(signal.SIGKILL)
        one.wait()
        two.expect("the primary process has ended", 5)
        two.signal(signal.SIGINT)
        self.assertEqual(two.wait(5), 0)

    def test_device_comes_back_to_both_processes(self):
        """The host takes a NIC from two that forward and gives it back: both receive and send again."""
        host = self.gen_host()
        first, second = self.pair(host)
        first.start()
        second.start()
        for nic in range(2):
            self.moving(host)
            start = len(first.text)
            host.request("rescind", nic)
            first.expect("error recovering event", 10, start)
            wait_until(lambda: host.stats(nic)["state"] == "offered", 10, "the session is over")
            host.request("offer", nic)
            first.expect("error recovery successful", 20, start)
            counts = self.queue_counts(first)
            wait_until(lambda: all(now > then + 20 for now, then in zip(self.queue_counts(first), counts)), 10,
                       "both processes receive")
        self.moving(host)
        self.assertNotIn("not usable in this process", second.text)
        second.send("quit\n")
        self.assertEqual(second.wait(), 0)
        first.stop()
        self.assertEqual(first.quit(), 0)

    def test_primary_changes_the_port_under_a_secondary(self):
        """Another MTU, and a stop with another start: both processes go on with what there is then."""
        host = self.gen_host(settings="mtu=9000")
        first, second = self.pair(host, args=["--mbuf-size=9300"])
        first.start()
        second.start()
        for line in ("port config mtu 0 3000", "port config mtu 0 1500"):
            text = first.cmd(line)
            self.assertNotIn("fail", text.lower())
            counts = self.queue_counts(first)
            wait_until(lambda: all(now > then + 20 for now, then in zip(self.queue_counts(first), counts)), 10,
                       f"both processes receive after {line}")
        first.stop()
        first.cmd("port stop all")
        first.cmd("port start all")
        first.start()
        counts = self.queue_counts(first)
        wait_until(lambda: all(now > then + 20 for now, then in zip(self.queue_counts(first), counts)), 10,
                   "both processes receive after a stop")
        second.send("quit\n")
        self.assertEqual(second.wait(), 0)
        first.stop()
        self.assertEqual(first.quit(), 0)

    def test_vf_is_left_while_another_process_has_the_port(self):
        """A secondary receives from the synthetic path alone: as long as there is one, all frames take that."""
        net = VfNetwork(self)
        self.devices = ["-a", net.host.device(0)]
        first = self.guest([net.host.device(0, ",vf=net_af_packet0")], mode="macswap", ports=1,
                           prefix=net.space.prefix, memory=["-m", "192"], args=["--portmask=0x1"],
                           eal=["--proc-type=primary", *self.shared(), f"--vdev={af_packet()}"])
        first.start()
        for _ in range(2):
            net.await_path(True)
            net.await_frames_on(True)
            second = self.secondary("dpdk-testpmd", "-i", "--no-flush-rx", lcore=None,
                                    eal=["--proc-type=secondary", "--no-telemetry", "--lcores", "2@0,3@0"])
            second.expect(PROMPT, 30)
            net.await_path(False)
            net.await_frames_on(False)
            second.send("quit\n")
            self.assertEqual(second.wait(), 0)
        net.await_path(True)
        net.await_frames_on(True)
        net.check_books(first)
        self.assertEqual(first.quit(), 0)
