#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a restart of an application costs: restart.py [--rounds N] [--rate PPS] [--json FILE]

testpmd forwards what hvsim's generator sends at a constant rate. In each round it is started, killed
with -9 under that traffic, and started again. Measured from outside, at the host's port:

- start: from the start of the process until the first frame has come back;
- eal: the same without our port (net_null instead), until testpmd forwards: what no driver can save;
- gap: from the kill until the first frame that came back after it;
- lost: frames that did not come back, which were on their way when it was killed;
- missed: what a network that does not wait sends in the gap. The generator waits while there is no
  guest, Hyper-V drops.
"""
import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

from harness import PLUGIN, SERIAL, Host, Program, lcore_args, memory_args, wait_until  # noqa: E402

LOOK = 0.002  # seconds between two looks at the host's counters


def start(*devices):
    """testpmd that forwards as soon as it can."""
    return Program("testpmd", [
        "dpdk-testpmd", "--file-prefix", f"restart{next(SERIAL)}", *lcore_args(), "--no-pci",
        "--no-telemetry", *memory_args(), *devices, "--", "-i", "-a", "--forward-mode=io",
        "--total-num-mbufs=16384", "--nb-cores=1", "--no-flush-rx"])


def end(program):
    program.signal(signal.SIGKILL)
    program.wait()
    program.close()


def until_more(host, field, than, since, limit=30):
    """Seconds from since until the port's counter is above than."""
    while host.port()[field] <= than:
        if time.monotonic() > since + limit:
            raise TimeoutError(f"no {field} within {limit} s")
        time.sleep(LOOK)
    return time.monotonic() - since


def without_port():
    """Seconds until testpmd forwards with a device that costs nothing."""
    began = time.monotonic()
    program = start("--vdev=net_null0")
    program.expect("Start automatic packet forwarding", 30)
    took = time.monotonic() - began
    end(program)
    return took


def sent(port):
    """Frames that the generator made, those that nobody took included."""
    return port["rx_frames"] + sum(n for name, n in port.items() if name.startswith("rx_dropped"))


def quiet(host):
    """Frames sent and verified, when none is on its way any more."""
    host.set("stall_rx", 1)
    last = [-1]

    def still():
        now, before = host.port()["tx_frames"], last[0]
        last[0] = now
        time.sleep(0.1)
        return now == before

    wait_until(still, 10, "nothing is on its way")
    port = host.port()
    host.set("stall_rx", 0)
    return sent(port), port["verified"]


def measure(rate):
    """One round, in a host of its own."""
    with tempfile.TemporaryDirectory(prefix="hyperpoll-restart-") as folder:
        os.environ["RUNTIME_DIRECTORY"] = folder
        host = Host(folder, f"gen:size=60,flows=16,rate={rate}").ready()
        programs = []
        try:
            device = ("-d", PLUGIN, "-a", host.device())
            result = {"eal": without_port()}
            began = time.monotonic()
            programs.append(start(*device))
            result["start"] = until_more(host, "verified", 0, began)
            until_more(host, "verified", rate // 2, began)
            made, back = quiet(host)
            until_more(host, "verified", back + rate // 4, time.monotonic())
            killed = time.monotonic()
            programs[0].signal(signal.SIGKILL)
            programs[0].wait()
            before = host.port()["verified"]
            programs.append(start(*device))
            result["gap"] = until_more(host, "verified", before, killed)
            until_more(host, "verified", before + rate // 4, killed)
            made_now, back_now = quiet(host)
            result["lost"] = made_now - made - (back_now - back)
            result["missed"] = rate * result["gap"]
            port = host.port()
            if port["corrupt"] or port["duplicate"]:
                raise RuntimeError(f"frames were changed or came twice: {port}")
            return result
        finally:
            for program in programs:
                program.close()
            host.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=20000, help="frames per second")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    rounds = []
    for number in range(options.rounds):
        rounds.append(measure(options.rate))
        print(f"round {number + 1}: " + ", ".join(f"{k} {v:.3f}" for k, v in rounds[-1].items()),
              flush=True)
    for name in rounds[0]:
        values = [r[name] for r in rounds]
        print(f"{name}: median {statistics.median(values):.3f}, least {min(values):.3f}, most "
              f"{max(values):.3f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"rate": options.rate, "rounds": rounds}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
