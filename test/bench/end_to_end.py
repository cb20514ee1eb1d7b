# SPDX-License-Identifier: BSD-3-Clause
"""Two processes on two cores: our driver and hvsim, memif and memif, virtio-user and vhost.

"Host" is hvsim, the memif server, vhost; "guest" is our driver, the memif client, virtio-user.
Programs are the distribution's testpmd but for hvsim. One measurement starts both programs anew.
"""
import json
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

import harness  # noqa: E402
from harness import BUILD, PLUGIN, SERIAL, Host, Program, Testpmd  # noqa: E402

SYSTEMS = ("ours", "memif", "virtio-user")
DIRECTIONS = ("to guest", "to host", "loop")
SETTLE = 0.4  # seconds before counting begins
BURSTS = 8    # of 32 frames, on their way in a loop
LATENCY = os.path.join(BUILD, "test/bench/bench-latency")


class Pmd(Testpmd):
    """testpmd on one core, main thread and all."""

    def __init__(self, cpu, mode, size, eal):
        Program.__init__(self, "testpmd", [
            "dpdk-testpmd", "--file-prefix", f"bench{next(SERIAL)}", "--lcores",
            f"0@{cpu},1@{cpu}", "--no-pci", "--no-telemetry", *harness.memory_args(), *eal, "--",
            "-i", f"--forward-mode={mode}", "--total-num-mbufs=16384", "--nb-cores=1",
            f"--txpkts={size}", "--no-flush-rx"])
        self.ports = 1


class System:
    """Both ends of one system, forwarding in one direction."""

    def __init__(self, name, direction, size, cpus, verified=False):
        self.dir = tempfile.mkdtemp(prefix="hyperpoll-bench-")
        self.name, self.direction, self.size, self.cpus = name, direction, size, cpus
        self.verified = verified
        self.programs = []
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def own(self, program):
        self.programs.append(program)
        return program

    def ends(self):
        """EAL options of host and guest."""
        path = os.path.join(self.dir, "socket")
        if self.name == "memif":
            return [[f"--vdev=net_memif0,role={role},socket={path},socket-abstract=no"]
                    for role in ("server", "client")]
        return [f"--vdev=net_vhost0,iface={path},queues=1"], \
            [f"--vdev=net_virtio_user0,path={path},queues=1", "--single-file-segments"]

    def hvsim(self):
        port = {"to guest": f"gen:size={self.size}", "to host": "sink", "loop": "echo"}
        spec = f"gen:size={self.size},window={BURSTS * 32}" if self.verified \
            else port[self.direction]
        os.environ["RUNTIME_DIRECTORY"] = self.dir
        return self.own(Host(self.dir, spec, args=["--poll", "busy"],
                             prefix=["taskset", "-c", str(self.cpus[0])])).ready()

    def start(self):
        modes = {"to guest": ("txonly", "rxonly"), "to host": ("rxonly", "txonly"),
                 "loop": ("io", "io")}[self.direction]
        if self.name == "ours":
            self.host = self.hvsim()
            guest = ["-d", PLUGIN, "-a", self.host.device()]
        else:
            host, guest = self.ends()
            self.host = self.own(Pmd(self.cpus[0], modes[0], self.size, host)).ready()
        self.guest = self.own(Pmd(self.cpus[1], modes[1], self.size, guest)).ready()
        # Who only receives starts first.
        if self.name != "ours":
            harness.wait_until(lambda: all("Link status: up" in end.cmd("show port info 0")
                                           for end in (self.host, self.guest)), 15, "link up")
            self.host.start()
        looping = self.direction == "loop" and not self.verified
        self.guest.cmd(f"start tx_first {BURSTS}" if looping else "start")

    def received(self):
        """Frames that the receiving application has."""
        if self.name == "ours" and self.direction == "to host":
            return self.host.port()["tx_frames"]
        if self.verified:
            return self.host.port()["verified"]
        end = self.host if self.direction == "to host" else self.guest
        return end.stats()["RX-packets"]

    def rate(self, seconds):
        """Frames per second."""
        time.sleep(SETTLE)
        before, began = self.received(), time.monotonic()
        time.sleep(seconds)
        after, ended = self.received(), time.monotonic()
        return (after - before) / (ended - began)

    def close(self):
        for program in reversed(self.programs):
            program.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def measure(name, direction, size, cpus, seconds, verified=False):
    system = System(name, direction, size, cpus, verified)
    try:
        return system.rate(seconds)
    finally:
        system.close()


def bench_latency(name, port, polling, habit, rate, seconds, cpus):
    """What bench-latency prints beside a host with such a port, one core for each."""
    directory = tempfile.mkdtemp(prefix="hyperpoll-bench-")
    os.environ["RUNTIME_DIRECTORY"] = directory
    host = app = None
    try:
        host = Host(directory, port, args=["--poll", "busy"] if polling else [],
                    prefix=["taskset", "-c", str(cpus[0])]).ready()
        app = Program(name, [
            LATENCY, "--file-prefix", f"bench{next(SERIAL)}", "--lcores", f"0@{cpus[1]}",
            "--no-pci", "--no-telemetry", *harness.memory_args(), "-d", PLUGIN, "-a",
            host.device(), "--", rate, seconds, time.monotonic_ns(), *([habit] if habit else [])])
        status = app.wait(seconds + 45)
        if status != 0:
            raise RuntimeError(app.tail())
        return json.loads(next(line for line in app.text.splitlines() if line.startswith("{")))
    finally:
        for program in (app, host):
            if program is not None:
                program.close()
        shutil.rmtree(directory, ignore_errors=True)


def latency(name, polling, sleepy, rate, seconds, cpus):
    """Round trips through a host that sends everything back."""
    return bench_latency(name, "echo", polling, "sleep" if sleepy else None, rate, seconds, cpus)


def wake_ups(name, polling, rate, seconds, cpus):
    """How long a frame of the host's takes to wake up the lcore that sleeps on its queue."""
    return bench_latency(name, f"gen:size=100,rate={rate},latency=on", polling, "wake", rate, seconds,
                         cpus)
