#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The page of doc/bench/ from its figures: page.py FILE.json DIR."""
import json
import os
import shutil
import subprocess
import sys

# Goals: cell, least in-tree/ours, most ours/floor. A cell is (op, size, burst, ppis, queues, cross).
GOALS = (
    ("rx 64 B", ("rx", 64, 32, 0, 1, False), 5, 2.0),
    ("fwd 64 B", ("fwd", 64, 32, 0, 1, False), 5, 2.0),
    ("tx 64 B", ("tx", 64, 32, 0, 1, False), 5.5, 2.5),
    ("rx 64 B, 2 PPIs", ("rx", 64, 32, 2, 1, False), 4.5, None),
    ("fwd 64 B, 2 PPIs", ("fwd", 64, 32, 2, 1, False), 4.5, None),
    ("rx 1514 B", ("rx", 1514, 32, 0, 1, False), 2, 1.1),
    ("tx 1514 B", ("tx", 1514, 32, 0, 1, False), 3, 1.4),
    ("fwd 1514 B", ("fwd", 1514, 32, 0, 1, False), 3, 1.25),
    ("fwd 64 B, burst 1", ("fwd", 64, 1, 0, 1, False), 2.7, 2.1),
    ("fwd 64 B, across cores", ("fwd", 64, 32, 0, 1, True), 3.5, 1.4),
)
INSTRUCTIONS = (("rx", 115), ("tx", 140), ("fwd", 270))
OFFLOADS = {"none": "", "all": ", rx offloads", "types": ", rx offloads and types",
            "others": ", another queue's offloads"}
HOST = (("host-gen", "generated", 110), ("host-sink", "discarded", 110),
        ("host-verify", "generated and verified", 250))
PMDS = (("hyperpoll", "ours"), ("in-tree", "in-tree"), ("floor", "floor"))
COLUMNS = (("hyperpoll", "vfio-user", "ours"), ("hyperpoll", "uio", "ours, UIO"),
           ("in-tree", "uio", "in-tree"), ("floor", "vfio-user", "floor"))

INTRO = """# What the driver costs

Written by `./run bench`; do not edit. Figures: [bench.json](bench.json).

Measured on {machine}{busy}

## The driver alone

`pmdbench`: host and application are one thread, the host's work is not timed; then the calls of
`rte_eth_rx_burst()` and `rte_eth_tx_burst()` are (forwarding: with the swap of MAC addresses between
them). Ticks of the time stamp counter per frame, per poll where nothing arrives: the lower quartile of
the rounds, in brackets the median and the distance of the quartiles. Drivers take turns in rounds of a few milliseconds.
Instructions are callgrind's, per frame, of the same calls with all that they call; they are the same in every run,
and were counted without hugepages. *Across cores* the host's half of each turn runs on another core,
in lock-step, so that cache lines travel. *In-tree* is the distribution's own driver, unmodified, on the rig of test/uio;
*floor* is a bare loop on the same rings that reads descriptors, copies frames and publishes once per burst, without checks,
locks, counters and signals. Sizes are without FCS; 2 PPIs are an RSS hash, one is a checksum.
A PPI is four words of information in front of a frame. *Rx offloads*: the port has all receive offloads that the driver
offers, and packet types where it says so; else it has none. *Another queue's offloads*: the queue has none, another one
of the port, which rests, has all that a queue can have, of receive and of send. Ports with other offloads are measured one
after another: there, instructions are to be compared. *Host*: the other way round, one poll of hvsim's
NIC and port is timed, and the guest's calls are not; whichever driver plays the guest.

"""


def machine(figures):
    m = figures["machine"]
    return f"{m['cpu']}, {m['cpus']} CPUs, {m['mhz']} MHz, Linux {m['kernel']}, {m['date']}."


def busy(figures):
    load = figures["machine"]["load"]
    if load <= 0.5:
        return ""
    return (f"\n\n**The machine was busy with other work (load {load}): ticks and rates are indicative "
            "only; instructions are not touched by that.**")


def backend(c):
    """How the driver of a cell reaches the host; said only where it is not the usual way."""
    return c.get("backend", "uio" if c["pmd"] == "in-tree" else "vfio-user")


def find(figures, pmd, cell, offloads="none"):
    """A cell of the usual backend; of many flows only when there is none of one."""
    keys = ("op", "size", "burst", "ppis", "queues", "cross")
    usual = "uio" if pmd == "in-tree" else "vfio-user"
    for c in figures["cells"] + figures["more_cells"]:
        if c["pmd"] == pmd and backend(c) == usual and c.get("offloads", "none") == offloads and \
                tuple(c[key] for key in keys) == cell:
            return c
    return None


def ticks(figures, pmd, cell):
    c = find(figures, pmd, cell)
    return c and c["cycles_per_packet"]


def ratio(above, below):
    return above / below if above and below else None


def paid(figures, op, ppis, offloads):
    """Instructions and ticks of a frame where there are offloads, to those where there are none."""
    cell = (op, 64, 32, ppis, 1, False)
    with_some, without = (find(figures, "hyperpoll", cell, which) or {} for which in (offloads, "none"))
    return [ratio(with_some.get(key), without.get(key)) for key in ("instructions", "cycles_per_packet")]


def reach_offloads(figures):
    """What offloads cost who has them, and who has not. Ports that differ in them take no turns: ticks decide nothing."""
    rows = []
    for op in ("rx", "tx", "fwd"):
        instructions, ticks_ = paid(figures, op, 0, "others")
        # Equal but for what frames of several flows make of a turn.
        rows.append((f"{op} 64 B: another queue's / no offloads", goal(instructions and round(instructions, 2), 1, False),
                     goal(ticks_, None, False)))
    for ppis in (0, 2):
        of = f"rx 64 B{f', {ppis} PPIs' if ppis else ''}"
        for offloads, what, limit in (("all", "all receive offloads / none", 1.1),
                                      ("types", "all and packet types / none", None)):
            instructions, ticks_ = paid(figures, "rx", ppis, offloads)
            rows.append((f"{of}: {what}", goal(instructions, limit, False), goal(ticks_, None, False)))
    return table(("what offloads cost", "instructions", "ticks"), rows)


def goal(value, limit, least):
    """A figure beside its goal; missing ones are said to be."""
    if value is None:
        return "not measured"
    text = f"{value:.2f}"
    if limit is None:
        return text
    met = value >= limit if least else value <= limit
    return f"{text} ({'>=' if least else '<='} {limit}: {'met' if met else '**not met**'})"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def reach(figures):
    """Goals and what was reached."""
    rows = []
    for name, cell, intree, floor in GOALS:
        ours = ticks(figures, "hyperpoll", cell)
        rows.append((name, goal(ratio(ticks(figures, "in-tree", cell), ours), intree, True),
                     goal(ratio(ours, ticks(figures, "floor", cell)), floor, False)))
    text = table(("cell", "in-tree / ours", "ours / floor"), rows)
    plain = ticks(figures, "hyperpoll", ("rx", 64, 32, 0, 1, False))
    ppis = ticks(figures, "hyperpoll", ("rx", 64, 32, 2, 1, False))
    one = ticks(figures, "hyperpoll", ("fwd", 64, 32, 0, 1, False))
    many = ticks(figures, "hyperpoll", ("fwd", 64, 32, 0, 16, False))
    idle = [ticks(figures, "hyperpoll", ("idle", 64, 32, 0, queues, False)) for queues in (1, 16)]
    rows = [("rx 64 B: 2 PPIs / none", goal(ratio(ppis, plain), 1.15, False)),
            ("fwd 64 B: 16 queues / 1", goal(ratio(many, one), 1.1, False)),
            ("idle poll, ticks", goal(idle[0], 60, False)),
            ("idle poll of 16 queues, ticks each", goal(idle[1], 60, False))]
    rows += [(f"host alone: 64 B {what}, ticks per frame",
              goal(ticks(figures, "hyperpoll", (op, 64, 32, 0, 1, False)), limit, False))
             for op, what, limit in HOST]
    for op, limit in INSTRUCTIONS:
        c = find(figures, "hyperpoll", (op, 64, 32, 0, 1, False))
        rows.append((f"{op} 64 B, instructions per frame",
                     goal(c and c["instructions"], limit, False)))
    text += "\n\n" + table(("ours", ""), rows) + "\n\n" + reach_offloads(figures)
    return text + "\n\n" + reach_across(figures) if figures["end_to_end"] else text


def rate(figures, system, direction, size, verified=False):
    for r in figures["end_to_end"]:
        if (r["system"], r["direction"], r["size"], r["verified"]) == \
                (system, direction, size, verified):
            return r["median"]
    return None


def reach_across(figures):
    rows = []
    for size in (64, 1514):
        for direction in ("to guest", "to host", "loop"):
            ours = rate(figures, "ours", direction, size)
            rows.append((f"{size} B, {direction}",
                         goal(ratio(ours, rate(figures, "memif", direction, size)),
                              1 if size == 64 else None, True),
                         goal(ratio(ours, rate(figures, "virtio-user", direction, size)), 1, True)))
        rows.append((f"{size} B, loop, verified / not", goal(
            ratio(rate(figures, "ours", "loop", size, True), rate(figures, "ours", "loop", size)),
            0.6, True), ""))
    return table(("end to end", "ours / memif", "ours / virtio-user"), rows)


def cell_name(c):
    size = "IMIX" if c["size"] == "imix" else f"{c['size']} B"
    name = f"idle poll, burst {c['burst']}" if c["op"] == "idle" else \
        f"{c['op']} {size}, burst {c['burst']}"
    name += f", {c['ppis']} PPI{'s' if c['ppis'] > 1 else ''}" if c["ppis"] else ""
    name += f", {c['queues']} queues" if c["queues"] > 1 else ""
    name += f", {c['flows']} flows" if c.get("flows", 1) > 1 and c["queues"] == 1 else ""
    return name + (", across cores" if c["cross"] else "") + OFFLOADS[c.get("offloads", "none")]


def figure(c, asked=True):
    """@param asked: what is not there has failed"""
    if c is None:
        return "failed" if asked else ""
    text = "" if c["cycles_per_packet"] is None else \
        f"{c['cycles_per_packet']:.1f} ({c['median']:.1f} ±{c['spread']:.1f})"
    return text + ("" if c["instructions"] is None else f" / {c['instructions']:.0f}")


def cells(figures):
    both = figures["cells"] + figures["more_cells"]
    shown = [column for column in COLUMNS
             if any((c["pmd"], backend(c)) == column[:2] for c in both)]
    by_name = {}
    for c in both:
        by_name.setdefault(cell_name(c), {})[c["pmd"], backend(c)] = c
    rows = []
    for name, found in by_name.items():
        value = {} if name.startswith("host-") else {
            pmd: c["cycles_per_packet"] for (pmd, by), c in found.items()
            if (pmd, by) != ("hyperpoll", "uio")}
        ratios = (ratio(value.get("in-tree"), value.get("hyperpoll")),
                  ratio(value.get("hyperpoll"), value.get("floor")))
        ours_alone = next(iter(found.values())).get("offloads") == "others"
        rows.append((name, *(figure(found.get(column[:2]), column[0] == "hyperpoll" or not ours_alone)
                             for column in shown),
                     *("" if r is None else f"{r:.2f}" for r in ratios)))
    return table(("cell", *(title for _, _, title in shown), "in-tree / ours", "ours / floor"),
                 rows)


ACROSS = """
## Two processes on two cores

Millions of frames per second that the receiving application has; the median, in brackets the slowest and fastest
round. One core for each end, one queue, testpmd on both ends but for hvsim. *To guest*: hvsim generates, or the
host's testpmd sends (`txonly`), and the guest's receives (`rxonly`). *To host*: the other way, hvsim discards.
*Loop*: 256 frames go back and forth between two forwarders. *Verified*: hvsim generates each frame,
keeps 256 on their way, and checks all bytes when they are back.

"""

TRIPS = """
## Round trips

`bench-latency`, a loop of one core that sends single 64-byte frames at even distances and polls, or sleeps until its
frame's interrupt; hvsim on another core sends each frame back, always polling, or sleeping when nothing moves (its default).
A round trip begins when its frame was due. Microseconds. *First frame*: from the start of that process,
with EAL, the port's set-up and the first frame that comes back, in milliseconds.

"""


NOTHING = "Not measured in this run."


def across(figures):
    if not figures["end_to_end"]:
        return NOTHING
    rows = []
    for r in figures["end_to_end"]:
        rows.append((r["system"], f"{r['direction']}{', verified' if r['verified'] else ''}",
                     str(r["size"]), f"{r['median']:.2f} ({r['least']:.2f}–{r['most']:.2f})"))
    return table(("system", "direction", "bytes", "M frames/s"), rows)


def trips(figures):
    if not figures["round_trips"]:
        return NOTHING
    return table(("host", "guest", "frames/s", "p50", "p99", "p99.9", "came back", "first frame"), [
        (t["host"], t.get("guest", "polling"), str(t["rate"]), f"{t['p50_us']:.1f}", f"{t['p99_us']:.1f}",
         f"{t['p99_9_us']:.1f}", f"{t['returned']} of {t['sent']}", f"{t['first_frame_ms']:.0f}")
        for t in figures["round_trips"]])


WAKE_UPS = """
## Wake-ups

The receive interrupt: `bench-latency` sleeps in `rte_epoll_wait()` until one of hvsim's frames comes, 1,000 per second, takes
it and sleeps again. A frame says when the host made it, just before it is written to the ring and the queue's eventfd signalled;
a wake-up is from then until `rte_epoll_wait()` has returned. What the kernel takes to bring a sleeping thread back on an idle
core is in it. Microseconds.

"""


def wake_ups(figures):
    if not figures.get("wake_ups"):
        return NOTHING
    return table(("host", "frames/s", "p50", "p99", "p99.9", "wake-ups", "frames"), [
        (w["host"], str(w["rate"]), f"{w['p50_us']:.1f}", f"{w['p99_us']:.1f}", f"{w['p99_9_us']:.1f}",
         str(w["wake_ups"]), str(w["frames"])) for w in figures["wake_ups"]])


STACKS = """
## Between two Linux stacks

One TCP connection of iperf3 between two network namespaces, TAP – hvsim – testpmd – hvsim – TAP, MTU 1500, all on these
CPUs. *Plain*: frames of the MTU with checksums, forwarded as they are. *Offloads*: virtio-net headers on the TAPs,
checksums, TSO and LRO through testpmd's checksum engine.

"""


def between_stacks(figures):
    found = {s["frames"]: s for s in figures.get("stacks", [])}
    if not found:
        return NOTHING
    rows = [(kind, f"{s['median']} ({s['least']}–{s['most']})") for kind, s in found.items()]
    if len(found) == 2:
        rows.append(("offloads / plain", goal(found["offloads"]["median"] / found["plain"]["median"], 3, True)))
    return table(("frames", "Mbit/s"), rows)


FLIPS = """
## A virtual function that goes and comes

hvsim's generator sends 60-byte frames at a constant rate, testpmd sends them back: by a virtual function (net_af_packet on a
TAP of hvsim's) or by the synthetic path. The host takes the virtual function away and gives it back again and again, in
either of its ways. A gap is the longest time without a frame at the generator's port from the begin of a flip until frames
go by the virtual function again, milliseconds. *Nothing flips*: the same over as long times between two flips, which is what
the machine does by itself. *Counted*: of the frames that did not come back, those that a counter has of hvsim, testpmd or the
interface; none has what the kernel drops in front of net_af_packet when testpmd does not get its core in time.

"""


def at_flips(figures):
    f = figures.get("flips")
    if not f:
        return NOTHING
    rows = [(f"{f['flips']} flips, {f['rate']} frames/s", f"{f['p50_ms']:.2f}", goal(f["p99_ms"], 10, False),
             f"{f['max_ms']:.2f}", f"{f['lost']} of {f['frames']}", str(f["counted"])),
            ("nothing flips", *(f"{f['still'][key]:.2f}" for key in ("p50_ms", "p99_ms", "max_ms")), "", "")]
    return table(("", "p50", "p99", "longest", "lost", "counted"), rows)


# ---- plots

COLOURS = ("#2a6f97", "#e07a5f", "#81b29a")
BARS = """set terminal svg size 760,360 font 'sans,12' background 'white'
set output '{out}'
set title '{title}'
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 border -1
set ylabel '{unit}'
set yrange [0:*]
set grid ytics
set key top left
set xtics rotate by -20
$figures << END
{data}END
plot {columns}
"""


def plot(out, title, unit, names, rows):
    """Bars in groups; what was not measured is left out. @return whether there is anything"""
    rows = [(label, values) for label, values in rows if any(values)]
    shown = [i for i in range(len(names)) if any(values[i] for _, values in rows)]
    if shutil.which("gnuplot") is None or not shown:
        return False
    data = "".join(" ".join([f'"{label}"', *(f"{values[i]:.3f}" if values[i] else "NaN"
                                             for i in range(len(names)))]) + "\n"
                   for label, values in rows)
    columns = ", ".join(f"$figures using {i + 2}:xtic(1) title '{names[i]}' lc rgb '{COLOURS[i]}'"
                        for i in shown)
    script = BARS.format(out=out, title=title, unit=unit, data=data, columns=columns)
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return True


def plots(figures, folder):
    """@return the names of what was drawn."""
    titles = [title for _, title in PMDS]
    drawn = []
    for burst in (32, 1):
        name = f"burst{burst}.svg"
        rows = [(f"{op} {size}", [ticks(figures, pmd, (op, size, burst, 0, 1, False))
                                  for pmd, _ in PMDS])
                for op in ("rx", "tx", "fwd") for size in (64, 1514)]
        if plot(os.path.join(folder, name), f"The driver alone, burst {burst}", "ticks per frame",
                titles, rows):
            drawn.append(name)
    systems = ("ours", "memif", "virtio-user")
    rows = [(f"{direction} {size}", [rate(figures, system, direction, size) for system in systems])
            for direction in ("to guest", "to host", "loop") for size in (64, 1514)]
    if plot(os.path.join(folder, "end-to-end.svg"), "Two processes on two cores", "M frames/s",
            systems, rows):
        drawn.append("end-to-end.svg")
    return drawn


def write(figures, folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "bench.json"), "w") as file:
        json.dump(figures, file, indent=1)
        file.write("\n")
    drawn = plots(figures, folder)
    image = {name: f"![{name}]({name})\n\n" if name in drawn else ""
             for name in ("burst32.svg", "burst1.svg", "end-to-end.svg")}
    failures = "".join(f"- {failure}\n" for failure in figures["failures"])
    text = INTRO.format(machine=machine(figures), busy=busy(figures))
    text += image["burst32.svg"] + image["burst1.svg"] + "### Goals\n\n" + reach(figures) + "\n\n"
    text += "### All cells\n\n" + cells(figures) + "\n"
    text += ACROSS + image["end-to-end.svg"] + across(figures) + "\n" + TRIPS + trips(figures) + "\n"
    text += WAKE_UPS + wake_ups(figures) + "\n"
    text += STACKS + between_stacks(figures) + "\n"
    text += FLIPS + at_flips(figures) + "\n"
    if failures:
        text += f"\n## What failed\n\n{failures}"
    with open(os.path.join(folder, "README.md"), "w") as file:
        file.write(text)


def main():
    with open(sys.argv[1]) as file:
        write(json.load(file), sys.argv[2])


if __name__ == "__main__":
    main()
