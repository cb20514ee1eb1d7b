#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What ./run demo shows: frames from a simulated Hyper-V host through the driver and back."""
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from contextlib import ExitStack

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), name) for name in ("integration", "lib")]
import arguments  # noqa: E402
from harness import Host, Namespace, Testpmd  # noqa: E402

# Drop counters: of the host's NIC beside its rx_dropped_ and tx_dropped_, its port, testpmd's port.
HOST_ERRORS = ("tx_errors", "protocol_errors")
PORT_DROPS = ("tx_dropped", "corrupt", "lost", "duplicate")
GUEST_DROPS = ("RX-missed", "RX-errors", "RX-nombuf", "TX-errors")


def start(stack, port, mode, queues=1, prefix=(), spoof="off"):
    """hvsim with one NIC and testpmd on it."""
    directory = tempfile.mkdtemp(prefix="hyperpoll-")
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    host = Host(directory, (f"spoof={spoof}", port), prefix=prefix)
    stack.callback(host.close)
    host.ready()
    # The generator waits for room instead of dropping.
    host.set("rx_wait", 1)
    print("host:  " + " ".join(host.argv))
    pmd = Testpmd(host, mode=mode, queues=queues, telemetry=True,
                  env={"RUNTIME_DIRECTORY": directory})
    stack.callback(pmd.close)
    try:
        pmd.ready()
    except (TimeoutError, RuntimeError) as error:
        raise RuntimeError(f"{error}\n{pmd.tail()}") from None
    print("guest: " + " ".join(pmd.argv) + "\n")
    return host, pmd


def drops(host, pmd_stats):
    """Every counter of lost or bad frames that is not zero."""
    nic = host.stats()
    found = {f"host {key}": nic[key] for key in nic if "_dropped_" in key or key in HOST_ERRORS}
    found.update({f"port {key}": nic["port_stats"].get(key, 0) for key in PORT_DROPS})
    found.update({f"guest {key}": pmd_stats[key] for key in GUEST_DROPS})
    return {key: value for key, value in found.items() if value}


def print_rings(host, pmd):
    """The indices and masks of all rings as each end sees them."""
    print("\nrings as the host sees them (tx: guest to host, rx: host to guest)")
    for channel in host.request("rings", 0)["rings"]:
        for way in ("tx", "rx"):
            ring = channel[way]
            print(f"  channel {channel['channel']} {way}: size {ring['size']} "
                  f"write {ring['write_index']} read {ring['read_index']} "
                  f"mask {ring['interrupt_mask']} pending {ring['pending_send_sz']} "
                  f"own index {ring['private_index']}")
    print("rings as the guest sees them")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as telemetry:
        telemetry.settimeout(5)
        for folder, _, names in os.walk(host.dir):
            if "dpdk_telemetry.v2" in names:
                telemetry.connect(os.path.join(folder, "dpdk_telemetry.v2"))
        telemetry.recv(1 << 16)
        telemetry.send(b"/ethdev/dump_priv,0")
        answer = json.loads(telemetry.recv(1 << 16))["/ethdev/dump_priv"]
    for line in answer.splitlines():
        print("  " + line)


def demo_generator(stack, args):
    """Generated frames, forwarded by testpmd and verified when they come back."""
    host, pmd = start(stack, f"gen:size={args.size},flows=64", "io", args.queues, spoof="on")
    print("spoof=on: testpmd sends the generator's frames back with the generator's source MAC, which\n"
          "a host forwards only where MAC spoofing is allowed.\n")
    # The generator waits for room, and testpmd tries again when the host is behind: whatever is
    # missing in the end was lost by a mistake.
    pmd.start(patient="io")
    print(f"{args.size}-byte frames (without FCS), frames per second:\n"
          "   s  host->guest     guest rx     guest tx  guest->host     verified  dropped or bad")
    before, then = None, 0
    for second in range(args.seconds + 1):
        guest, port, now = pmd.stats(), host.port(), time.monotonic()
        sample = (port["rx_frames"], guest["RX-packets"], guest["TX-packets"], port["tx_frames"],
                  port["verified"])
        if before:
            rates = [(a - b) / (now - then) for a, b in zip(sample, before)]
            bad = ", ".join(f"{key} {value}" for key, value in drops(host, guest).items())
            print(f"{second:4}" + "".join(f"{rate:13,.0f}" for rate in rates) +
                  f"  {bad or 'none'}", flush=True)
        before, then = sample, now
        time.sleep(1 if second < args.seconds else 0)
    if args.rings:
        print_rings(host, pmd)
    host.set("stall_rx", 1)
    settled = time.monotonic() + 5
    while time.monotonic() < settled and host.port()["tx_frames"] < host.port()["rx_frames"]:
        time.sleep(0.05)
    pmd.stop()
    guest, port = pmd.stats(), host.port()
    bad = drops(host, guest)
    missing = port["rx_frames"] - port["verified"]
    print(f"\n{port['rx_frames']:,} frames generated, {port['verified']:,} came back with the "
          "right sequence number and checksum")
    if port["rx_frames"] == 0:
        print("verdict: NOTHING was shown: no frame was generated")
        return 1
    if missing or bad:
        print(f"verdict: NOT intact: {missing:,} missing; " +
              ", ".join(f"{key} {value}" for key, value in bad.items()))
        return 1
    print("verdict: every generated frame came back intact" +
          (", in order" if port["reordered"] == 0 else f" ({port['reordered']:,} out of order)"))
    return 0


def demo_tap(stack, args):
    """The Linux network stack pings testpmd's icmpecho through a TAP in a namespace."""
    net = Namespace()
    stack.callback(net.close)
    _, pmd = start(stack, "tap:hp0", "icmpecho", args.queues, prefix=net.prefix)
    net.run("ip", "addr", "add", "192.0.2.1/24", "dev", "hp0")
    net.run("ip", "link", "set", "hp0", "up")
    pmd.start()
    count = max(2, args.seconds)
    text = net.run("ping", "-c", count, "-i", "0.5", "-W", "2", "192.0.2.2", timeout=count + 20)
    print(text)
    replies = f"{count} packets transmitted, {count} received" in text
    print("verdict: " + ("every ping was answered through the driver" if replies
                         else "NOT every ping was answered"))
    return not replies


def main():
    args = arguments.demo(sys.argv[1:])
    with ExitStack() as stack:
        try:
            return (demo_tap if args.what == "tap" else demo_generator)(stack, args)
        except (TimeoutError, RuntimeError, OSError) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
