# SPDX-License-Identifier: BSD-3-Clause
"""Does something grow? Of samples taken at equal distances."""

WARM = 10  # percent of the samples that warm up
# What the kernel counts in pages of its own, and libraries' heaps breathe by.
SLACK = {"KiB resident": 256, "sections lent": 128}


def growth(samples):
    """How much more of each there is at the end than after the warm-up, beyond what breathes.

    Compared is the least of the last third with the most of the first one (the warm-up left out), so that
    what goes up and down has not grown, and what went up in between has.
    @return by name; 0: it has not grown
    """
    warm = -(-len(samples) * WARM // 100)
    third = (len(samples) - warm) // 3
    if third < 1:
        raise ValueError(f"{len(samples)} samples are too few to tell")
    early, late = samples[warm:warm + third], samples[-third:]
    found = {}
    for name in samples[0]:
        more = min(s[name] for s in late) - max(s[name] for s in early)
        found[name] = more if more > next((n for word, n in SLACK.items() if word in name), 0) else 0
    return found
