# SPDX-License-Identifier: BSD-3-Clause
"""What a drill does: the table of faults, and the schedule that a seed makes of it.

A schedule is a function of the seed and the number of events alone. doc/reliability.md has the table
as `python3 test/drill/schedule.py` prints it; a unit test compares them.
"""
import random
from typing import NamedTuple

# NICs of the drill, by what happens to them.
PROXIED, DIRECT, BYSTANDER, RECORDER, HOSTILE = range(5)
ATTACKED = (PROXIED, DIRECT)


class Fault(NamedTuple):
    """What may follow of an event. Everything else is a failure."""
    what: str
    weight: int
    # Frames flow again within RECOVERY seconds after the end of the fault, by themselves.
    recovers: bool = True
    # The port may say that it is broken or cannot be had so; the application then resets it.
    error_state: bool = False
    # The session with the host ends: frames in flight are lost to the other side.
    session_ends: bool = False
    nics: tuple = ATTACKED


FAULTS = {
    # ---- the host's knobs, under traffic ----
    "stall": Fault("the host does not read the rings", 8),
    "stall_rx": Fault("the host delivers nothing", 3),
    "no_complete": Fault("sends are taken and not completed", 8),
    "refuse": Fault("a share of the sends is refused", 6),
    "malformed": Fault("a share of the received messages is broken, in one of some thirty ways or in all", 10),
    "shape": Fault("another shape of the same frames: batch, range_slot, data_offset and the like", 8),
    "sections": Fault("the host uses a handful of receive sections", 5),
    "narrow": Fault("the host takes a handful of sends at a time", 4),
    "notices": Fault("a burst of notices: network change, link speed, notices before each answer", 4),
    "link": Fault("the link goes down and comes back", 6),
    "overrun": Fault("the application does not poll while both rings fill", 5),
    # ---- control operations that the host makes hard ----
    "settings": Fault("the application changes filters and RSS under traffic", 4),
    "delay": Fault("the host answers control requests late", 3),
    "silence": Fault("the host does not answer a control request at all", 1, recovers=False, error_state=True,
                     session_ends=True),
    "restart": Fault("the application stops and starts the port", 5, session_ends=True),
    # ---- sessions that end ----
    "rescind": Fault("the device is taken away and given back", 6, session_ends=True),
    "renewed": Fault("the same, and the host has other limits from then on", 6, session_ends=True),
    "unfit": Fault("the same, and the host refuses what the port needs; then it does not any more", 3,
                   recovers=False, error_state=True, session_ends=True),
    "corrupt_ring": Fault("an impossible index in a ring", 4, recovers=False, error_state=True,
                          session_ends=True),
    "cut": Fault("the connection to the host is cut", 5, session_ends=True, nics=(PROXIED,)),
    "cut_message": Fault("connections are cut in mid-message, some in a row", 5, session_ends=True,
                         nics=(PROXIED,)),
    "kill_guest": Fault("the guest is killed, another one takes the NICs", 1, session_ends=True),
    "kill_host": Fault("the host is killed, another one takes its place", 2, session_ends=True),
    "pause_host": Fault("the host stands still (SIGSTOP) and goes on", 3),
    "pause_guest": Fault("the guest stands still and goes on", 3),
    # ---- things that run out ----
    "eventfds": Fault("the eventfds between guest and host are full", 5),
    "no_mbufs": Fault("no mbufs: all are in flight by reference", 4, nics=(PROXIED,)),
    "no_descriptors": Fault("the guest can open no descriptor when the device comes back", 3, session_ends=True,
                            nics=(PROXIED,)),
    "no_memory": Fault("the guest can map no memory when the device comes back", 3, session_ends=True,
                       nics=(PROXIED,)),
    "no_hugepages": Fault("the guest can have no more hugepages when a port starts anew or its device comes back", 3,
                          session_ends=True),
    "host_no_descriptors": Fault("the host can open no descriptor when a guest comes", 3, session_ends=True,
                                 nics=(PROXIED,)),
    "disk_full": Fault("the file system of a capture is full", 2, recovers=False, nics=(RECORDER,)),
    # ---- others on the same host ----
    "truncated": Fault("a client of the host truncates its memory, and the host's", 4, nics=(HOSTILE,)),
    "hostile": Fault("a client sends nonsense, half of something, or every kind of descriptor", 5, nics=(HOSTILE,)),
    # ---- the virtual function (as root) ----
    "vf_flip": Fault("the virtual function comes or goes, in one of the host's ways", 10, nics=(DIRECT,)),
    "vf_path": Fault("the host takes the data path back, and the guest asks again", 3, nics=(DIRECT,)),
    "vf_stubborn": Fault("switches to the function are late, refused, taken back or not answered", 3, nics=(DIRECT,)),
    "vf_dead": Fault("what is for the function and of it is lost, and nobody says so", 3, nics=(DIRECT,)),
    "vf_any_path": Fault("what the function sends goes out although the path is the other one", 3, nics=(DIRECT,)),
    "vf_outlives": Fault("the path stays on the function when the session ends", 3, session_ends=True, nics=(DIRECT,)),
    "vf_late": Fault("the next session hears of the function late", 2, session_ends=True, nics=(DIRECT,)),
}

RECOVERY = 5.0  # seconds
MILLISECONDS = (5, 250)

# Every knob of hvsim: which fault turns it, and to what. None: only for tests of other things.
SHAPE = {
    "batch": (1, 2, 7, 375), "range_slot": (1,), "same_host": (1,), "hash_ppi": (0,), "udp_hash": (0,),
    "offload_notice": (0,), "vlan_ppi": ("off",), "rsc": (0,), "rsc_max": (9000,), "rx_wait": (1,),
    "accept_split_header": (1,), "lenient": (1,), "mss_floor": (1,), "oid_stats": (0,),
}
RENEWED = {
    "grant": ("4", "+1"), "max_mtu": (1500, 2000), "clamp_mtu": (1,), "send_section": (2048, 32768, 0),
    "max_messages": (1, 3), "max_transfer": (4096, 16384), "align_factor": (0, 5), "legacy28": (1,),
    "table_layout": ("a", "c"), "table_offset": (1,), "multicast_max": (0,), "rss_caps": (0, 0x101),
    "rss_entries": (16,), "strict_rss": (1,), "loose_filter": (1,), "section_align": (1, 4096),
    "data_offset": (128, 256), "tid_base": (0x100000000,), "refuse_send": (1,), "offload_notice": (0,),
    "rescind_primary": (1,),
}
UNFIT = {"refuse_recv": (1,), "refuse_rss": (1,), "num_sections": (0, 2), "grant": ("0",), "silence": (1, 101),
         "silence_rndis": (2, 5)}
OTHER = {
    "stall": "stall", "stall_rx": "stall_rx", "no_complete": "no_complete", "refuse_pct": "refuse",
    "malformed_rx_pct": "malformed", "malformed_rx_kind": "malformed", "recv_sections": "sections",
    "tx_inflight": "narrow", "inject": "notices", "network_change": "notices", "link_mbps": "notices",
    "delay_ms": "delay", "silence_rndis": "silence", "corrupt_ring": "corrupt_ring", "vf_removal": "vf_flip",
    "vf_leave_ms": "vf_flip", "vf_offer": "vf_flip", "vf_first": "vf_flip", "vf_switch": "vf_stubborn",
    "vf_switch_ms": "vf_stubborn", "vf_multicast": "vf_flip", "vf_dead": "vf_dead", "vf_any_path": "vf_any_path",
    "vf_outlives": "vf_outlives", "vf_offer_ms": "vf_late",
    # Chosen once, for the whole drill: whether a guest sends the frames of others, and how many there are.
    "spoof": None, "rate": None,
    # Numbers alone: test_vf_trouble.py looks at them.
    "oid_restart": None,
}

# What the knobs that a fault turns are otherwise.
INITIAL = {
    "stall": 0, "stall_rx": 0, "no_complete": 0, "refuse_pct": 0, "malformed_rx_kind": "all", "malformed_rx_pct": 0,
    "batch": 32, "range_slot": 0, "same_host": 0, "hash_ppi": 1, "udp_hash": 1, "offload_notice": 1, "vlan_ppi": "on",
    "rsc": 1, "rsc_max": 62780, "rx_wait": 0, "accept_split_header": 0, "lenient": 0, "mss_floor": 64, "oid_stats": 1,
    "recv_sections": 0, "tx_inflight": 4096, "inject": 0, "link_mbps": 10000, "delay_ms": 0,
    "grant": "off", "max_mtu": 0, "clamp_mtu": 0, "send_section": 0xffffffff, "max_messages": 8,
    "max_transfer": 0xefffffff, "align_factor": 3, "legacy28": 0, "table_layout": "b", "table_offset": 0,
    "multicast_max": 32, "rss_caps": 0x301, "rss_entries": 128, "strict_rss": 0, "refuse_rss": 0, "loose_filter": 0,
    "section_align": 64, "data_offset": 0, "tid_base": 0, "refuse_send": 0, "rescind_primary": 0, "num_sections": 1,
    "refuse_recv": 0, "silence": 0, "silence_rndis": 0,
    "vf_removal": "path_first", "vf_leave_ms": 5000, "vf_first": 0, "vf_multicast": 0, "vf_dead": 0,
    "vf_any_path": 0, "vf_outlives": 0, "vf_offer_ms": 0,
}

DEFECTS = (
    "all length_zero length_short length_past_range length_huge type_unknown data_offset_zero data_offset_past "
    "data_offset_wraps data_length_zero data_length_runt data_length_past data_length_wraps ppi_area_in_header "
    "ppi_area_odd ppi_area_wraps ppi_area_short ppi_area_past ppi_size_zero ppi_size_short ppi_size_odd "
    "ppi_size_past ppi_value_in_header ppi_value_odd ppi_value_past range_empty range_short range_past_section "
    "range_over_end range_outside packet_no_ranges packet_many_ranges packet_other_buffer").split()

ATTACKS = ("garbage", "half a message", "half a first message", "wrong descriptors", "overlapping maps",
           "descending maps", "connections", "silent control", "hostile JSON")


class Event(NamedTuple):
    number: int
    kind: str
    nic: int
    ms: int       # how long the fault lasts
    before: int   # frames that flow first
    detail: dict  # what else the kind needs

    def __str__(self):
        words = "".join(f" {key}={value}" for key, value in self.detail.items())
        return f"{self.number}: {self.kind} NIC {self.nic} {self.ms} ms{words}"


def _knobs(rand, table, most):
    names = rand.sample(sorted(table), rand.randint(1, most))
    return {name: rand.choice(table[name]) for name in names}


def _detail(rand, kind):
    if kind == "refuse":
        return {"pct": rand.choice((1, 20, 100))}
    if kind == "malformed":
        return {"pct": rand.choice((1, 30, 100)), "defect": rand.choice(DEFECTS)}
    if kind == "shape":
        return _knobs(rand, SHAPE, 3)
    if kind == "renewed":
        return _knobs(rand, RENEWED, 2)
    if kind == "unfit":
        return _knobs(rand, UNFIT, 1)
    if kind == "sections":
        return {"sections": rand.choice((1, 2, 31, 100))}
    if kind == "narrow":
        return {"sends": rand.choice((1, 2, 5))}
    if kind == "notices":
        return {"knob": rand.choice(("network_change", "link_mbps", "inject")), "times": rand.randint(1, 20)}
    if kind == "delay":
        return {"delay": rand.choice((1, 20, 200))}
    if kind == "corrupt_ring":
        return {"channel": rand.randint(0, 1)}
    if kind == "cut_message":
        return {"after": [rand.randint(0, 600) for _ in range(rand.randint(1, 3))]}
    if kind == "hostile":
        return {"attack": rand.choice(ATTACKS)}
    if kind == "truncated":
        return {"how": rand.choice(("truncate", "punch", "host"))}
    if kind == "vf_flip":
        return {"removal": rand.choice(("path_first", "vf_first", "ask", "silent")),
                "vf_first": rand.choice((0, 0, 3)), "vf_multicast": rand.randint(0, 1)}
    if kind == "no_hugepages":
        return {"when": rand.choice(("restart", "recovery"))}
    if kind == "vf_dead":
        return {"told": rand.randint(0, 1)}
    if kind == "vf_any_path":
        return {"how": rand.choice(("refuse", "back"))}
    if kind == "vf_stubborn":
        return {"switch": rand.choice(("refuse", "fail", "ignore", "late"))}
    return {}


def schedule(seed, events, without=()):
    """The events of a drill, one after the other.

    @param without kinds that this machine cannot do; they are drawn and left out, so that the others
                   are the same everywhere
    """
    rand = random.Random(f"hyperpoll drill {seed}")
    kinds, weights = list(FAULTS), [fault.weight for fault in FAULTS.values()]
    made, number = [], 0
    while len(made) < events:
        number += 1
        kind = rand.choices(kinds, weights)[0]
        event = Event(number, kind, rand.choice(FAULTS[kind].nics), rand.randint(*MILLISECONDS),
                      rand.choice((0, 20, 200)), _detail(rand, kind))
        if kind not in without:
            made.append(event)
    return made


def table():
    """The faults, as doc/reliability.md has them."""
    yield "| fault | is | frames flow again by themselves within 5 s | an error state is allowed | the session ends |"
    yield "|---|---|---|---|---|"
    for kind, fault in FAULTS.items():
        yield f"| `{kind}` | {fault.what} | {_yes(fault.recovers)} | {_yes(fault.error_state)} | " \
              f"{_yes(fault.session_ends)} |"


def _yes(value):
    return "yes" if value else "no"


if __name__ == "__main__":
    print("\n".join(table()))
