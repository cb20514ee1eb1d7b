# SPDX-License-Identifier: BSD-3-Clause
"""The books of a NIC, hop by hop: what one side handed over is what the next one has, or somebody
counted it. Pure functions of counters; world.py reads them.

The counters of a moment are {"host": ..., "guest": ..., "app": ..., "interface": ...}: of one NIC of
`hvsim ctl stats` with its ports' in "port_stats" and "vf_port_stats", of ethdev's statistics and
extended statistics together, {"dropped": N} of the application, and what the kernel lost at the
virtual function's interface by "rx" and "tx" (from and to hvsim).
"""
from typing import NamedTuple

# What a host may have handed to a guest that has not given it back, for each channel (--nic outstanding=).
OUTSTANDING = 128


# Frames changed, doubled, or of nobody.
NEVER = ("corrupt", "duplicate", "foreign")


class Hop(NamedTuple):
    name: str
    sent: int
    got: int
    counted: dict  # lost in between, by the counter that says so
    uncertain: int = 0  # at most so many more may be missing: in flight when a session ended

    def missing(self):
        return self.sent - self.got - sum(self.counted.values())

    def unexplained(self):
        """Frames that nobody can tell of; those that came from nowhere, too."""
        missing = self.missing()
        return -missing if missing < 0 else max(0, missing - self.uncertain)

    def __str__(self):
        counted = ", ".join(f"{name} {n}" for name, n in self.counted.items() if n)
        return f"{self.name}: {self.sent} sent, {self.got} arrived, counted {counted or 'nothing'}" + \
            (f", at most {self.uncertain} in flight when a session ended" if self.uncertain else "")


def difference(before, after):
    """after - before, for every counter that both have; what is no number is left out."""
    if isinstance(after, dict):
        return {key: difference(before.get(key, {} if isinstance(value, dict) else 0), value)
                for key, value in after.items()
                if isinstance(value, dict) or (isinstance(value, int) and not isinstance(value, bool))}
    return after - before


def _those(counters, *starts, but=()):
    return {key: value for key, value in counters.items() if key.startswith(starts) and key not in but}


def hops(d, sessions=0, channels=2):
    """The hops of counters d, which are differences between two moments at which nothing moved.

    @param sessions how many sessions with the host ended meanwhile
    """
    host, port, guest = d["host"], d["host"]["port_stats"], d["guest"]
    vf = d["host"].get("vf_port_stats", {})
    interface = d.get("interface", {})
    given, taken = host["rx_frames"] + host.get("vf_rx_frames", 0), host["tx_frames"] + host.get("vf_tx_frames", 0)
    unpolled, stopped = guest.get("rx_dropped_unpolled", 0), guest.get("rx_dropped_stopped", 0)
    return [
        Hop("generator to host", port["rx_frames"], given, _those(host, "rx_dropped_")),
        Hop("host to driver", given, guest["ipackets"],
            {"rx_dropped_unpolled": unpolled, "rx_dropped_stopped": stopped,
             "too long for an mbuf": guest["imissed"] - unpolled - stopped, "rx_nombuf": guest["rx_nombuf"],
             "rx_malformed": guest["ierrors"],
             "VF's port": vf.get("tx_dropped_full", 0) + vf.get("tx_dropped_error", 0),
             "VF's interface": interface.get("rx", 0)},
            uncertain=sessions * channels * OUTSTANDING),
        Hop("driver to application to driver", guest["ipackets"], guest["opackets"],
            {"refused by the host, or not to be sent (oerrors)": guest["oerrors"],
             "queue full (TX-dropped)": d["app"]["dropped"]}),
        Hop("driver to host", guest["opackets"], taken,
            {**_those(host, "tx_dropped_", "vf_tx_dropped_"), "VF's port": vf.get("rx_dropped_size", 0),
             "VF's interface": interface.get("tx", 0)},
            uncertain=sum(_those(guest, "tx_q").get(f"tx_q{q}_unanswered", 0) for q in range(channels))),
        Hop("host to port", taken, port.get("verified", port["tx_frames"]),
            {key: port.get(key, 0) for key in NEVER}),
    ]


def broken_frames(d):
    """What may never be, of what a verifier has seen."""
    return {key: d["host"]["port_stats"][key] for key in NEVER if d["host"]["port_stats"].get(key)}


def lost(d):
    """Frames that did not come back."""
    return d["host"]["port_stats"]["rx_frames"] - d["host"]["port_stats"]["verified"]


def died(before, after, channels=2, slots=512, frames=8):
    """Frames that a killed guest took along, of the host's counters around it, and the most it can.

    In its hands are what the host waits for, and what it has written for the host.
    """
    d = difference(before, after)["host"]
    given, taken = d["rx_frames"] + d.get("vf_rx_frames", 0), d["tx_frames"] + d.get("vf_tx_frames", 0)
    return given - taken, channels * (OUTSTANDING + slots * frames)
