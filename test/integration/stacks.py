# SPDX-License-Identifier: BSD-3-Clause
"""Two Linux network stacks, each in a namespace behind a TAP of hvsim, and iperf3 between them.

What forwards between the two NICs is the caller's.
"""
import json
import shutil
import subprocess
import tempfile

from harness import Host, Namespace, Program

ADDRESSES = (("192.0.2.1", "2001:db8::1"), ("192.0.2.2", "2001:db8::2"))
PORT = 5201
# Counters of frames that a stack threw away for what is in them.
COUNTERS = {"snmp": ("Ip: InHdrErrors", "Icmp: InCsumErrors", "Tcp: InCsumErrors", "Udp: InCsumErrors"),
            "snmp6": ("Ip6InHdrErrors", "Icmp6InCsumErrors", "Udp6InCsumErrors")}
# What an MTU of 1500 leaves behind the headers of IPv6 and of TCP with its time stamps.
MSS = 1428
OFFLOAD_ARGS = ["--enable-rx-cksum", "--enable-lro", "--enable-scatter", "--max-lro-pkt-size=65535"]


class Stacks:
    """Namespaces and hvsim; close() ends what was started and removes them."""

    def __init__(self, vnet, mtu=1500, settings=("", ""), host_args=()):
        self.programs = []
        self.spaces = []
        self.dir = None
        try:
            self.spaces = [Namespace(), Namespace()]
            self._start(vnet, mtu, settings, host_args)
        except BaseException:
            self.close()
            raise

    def _start(self, vnet, mtu, settings, host_args):
        self.taps = [f"hps{number}" for number in range(2)]
        ports = [(settings[number], f"tap:{self.taps[number]},vnet={'on' if vnet else 'off'}")
                 for number in range(2)]
        self.dir = tempfile.mkdtemp(prefix="hyperpoll-")
        self.host = self.own(Host(self.dir, *ports, args=host_args, prefix=self.spaces[0].prefix)).ready()
        # A TAP works on in another namespace than the one in which it was made.
        self.spaces[0].run("ip", "link", "set", self.taps[1], "netns", self.spaces[1].name)
        for number, space in enumerate(self.spaces):
            tap, (four, six) = self.taps[number], ADDRESSES[number]
            space.run("ip", "link", "set", tap, "mtu", mtu)
            space.run("ip", "link", "set", tap, "up")
            space.run("ip", "addr", "add", f"{four}/24", "dev", tap)
            space.run("ip", "addr", "add", f"{six}/64", "dev", tap, "nodad")

    def own(self, program):
        self.programs.append(program)
        return program

    def set_mtu(self, mtu):
        for tap, space in zip(self.taps, self.spaces):
            space.run("ip", "link", "set", tap, "mtu", mtu)

    def ping(self, size=56, count=5, wait=2, more=()):
        """Ping the second stack from the first; True when every answer came, unchanged."""
        done = subprocess.run([*self.spaces[0].prefix, "ping", "-c", str(count), "-i", "0.05", "-W", str(wait),
                               "-s", str(size), *more, ADDRESSES[1][0]],
                              capture_output=True, text=True, timeout=60, check=False)
        return f"{count} packets transmitted, {count} received" in done.stdout and \
            "wrong data" not in done.stdout

    def errors(self):
        """Frames that the stacks found broken, by name."""
        found = {}
        for number, space in enumerate(self.spaces):
            for file, names in COUNTERS.items():
                counters = {}
                lines = space.run("cat", f"/proc/net/{file}").splitlines()
                if file == "snmp":  # names, then numbers
                    for head, body in zip(lines[::2], lines[1::2]):
                        kind = head.split()[0]
                        counters.update({f"{kind} {key}": int(value) for key, value in
                                         zip(head.split()[1:], body.split()[1:])})
                else:
                    counters = {key: int(value) for key, value in map(str.split, lines)}
                found.update({f"{number} {name}": counters[name] for name in names
                              if counters.get(name, 0) != 0})
        return found

    def iperf(self, *options, seconds=1, ipv6=False):
        """What iperf3 says of a run from the first stack to the second.

        Over UDP it says at each interval what the sender sent: AssertionError unless at least half of
        it left the NIC at the other end.
        """
        server = self.own(Program("iperf3", ["iperf3", "-s", "-1", "-p", PORT, "--forceflush"],
                                  prefix=self.spaces[1].prefix))
        server.expect("Server listening", 10)
        address = ADDRESSES[1][ipv6]
        number = 0 if "-R" in options else 1
        before = self.host.port(number)["tx_bytes"]
        text = self.spaces[0].run("iperf3", "-c", address, "-p", PORT, "-t", seconds, "-i", "0.2", "-J",
                                  "--connect-timeout", "5000", *options, timeout=seconds + 20)
        server.wait(10)
        result = json.loads(text)
        if "-u" in options:
            arrived, sent = self.host.port(number)["tx_bytes"] - before, sum(moved(result)[0])
            if arrived < sent / 2:
                raise AssertionError(f"iperf3 {options}: {sent} bytes sent, {arrived} came out of the host")
        return result

    def close(self):
        for program in reversed(self.programs):
            program.close()
        for space in self.spaces:
            space.close()
        if self.dir is not None:
            shutil.rmtree(self.dir, ignore_errors=True)


def moved(result):
    """Bytes of each interval of an iperf3 run, and bits per second at the receiver."""
    intervals = [interval["sum"]["bytes"] for interval in result["intervals"]]
    total = result["end"].get("sum_received") or result["end"]["sum"]
    return intervals, total["bits_per_second"]


def use_offloads(pmd):
    """testpmd's checksum engine, with all that it can leave to the NIC."""
    pmd.cmd("port stop all")
    for port in range(2):
        for layer in ("ip", "tcp", "udp"):
            pmd.cmd(f"csum set {layer} hw {port}")
        pmd.cmd(f"csum mac-swap off {port}")
        pmd.cmd(f"tso set {MSS} {port}")
    pmd.cmd("port start all")
