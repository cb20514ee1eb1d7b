# SPDX-License-Identifier: BSD-3-Clause
"""How much CPU time of its thread a burst call takes: test/preload/bursts.c measures it in a program as it is.

No burst may take more than 1 ms. But the kernel counts what interrupts a thread as that thread's time, and on a busy machine
some of 1,000,000 calls that do nothing have 1 to 3 ms of it, most of those while the thread was off its processor. A
driver that works for so long when the path moves, or the device comes back, does so each time. So only programs to which that
happens often are judged, and a few are let pass, by how often it happened and by how many calls there were, and told.
"""
import re

LINE = re.compile(r"(receive|send) bursts: (\d+), longest (\d+) us, above 1 ms (\d+), and interrupted (\d+)")


def environment(library, env):
    """... of a program, so that its bursts are measured."""
    before = (env or {}).get("LD_PRELOAD")
    return {**(env or {}), "LD_PRELOAD": f"{library}:{before}" if before else library}


def check(text, events):
    """What was measured until the program ended. AssertionError when bursts took more than 1 ms.

    @param events switches of the path, or recoveries
    """
    found = {way: list(map(int, numbers)) for way, *numbers in LINE.findall(text)}
    if not found:
        raise AssertionError("no burst was measured")
    told = ", ".join(f"{way} {longest / 1000:.2f} ms" + (f" ({broken} interrupted ones above 1 ms)" if broken else "")
                     for way, (_, longest, _, broken) in found.items())
    print(f"     longest burst: {told}", flush=True)
    for way, (calls, longest, whole, broken) in found.items():
        if whole > 2 + events // 4 + calls // 200000 or broken > 5 + events // 2:
            raise AssertionError(f"{whole} of {calls} {way} bursts took more than 1 ms of CPU time, up to "
                                 f"{longest} us, and {broken} that were interrupted")
