# SPDX-License-Identifier: BSD-3-Clause
"""One drill: every event of a schedule done to the world, and everything checked after each.

do_KIND() of an event brings the fault and takes it away again. Then frames must flow within the time
of the table (schedule.py), the books must balance hop by hop, and nothing may have grown.
"""
import os
import resource
import signal
import sys
import time
import traceback

import attacks
from books import broken_frames, died, difference
from functions import Functions
from harness import wait_until
from processes import borrow, eventfds
from schedule import (ATTACKED, BYSTANDER, DIRECT, FAULTS, HOSTILE, INITIAL, PROXIED, RECORDER, RECOVERY, schedule)
from world import COUNTED, ROOT, World

FULL = (2**64 - 2).to_bytes(8, "little")
NEEDS_ROOT = (*(kind for kind in FAULTS if kind.startswith("vf_")), "disk_full", "eventfds", "truncated")


PROBLEMS = 8  # are enough


class Figures:
    """What a drill has to tell at its end."""

    def __init__(self):
        self.events = self.frames = self.lost = self.unexplained = self.died = 0
        self.recoveries = []
        self.kinds = {}

    def line(self):
        times = sorted(self.recoveries) or [0]
        return (f"{self.events} events, {self.frames} frames, {self.lost} lost and counted, {self.died} died with killed "
                f"processes, {self.unexplained} unexplained; frames flow again after "
                f"{times[len(times) // 2] * 1000:.0f} ms (median), {times[-1] * 1000:.0f} ms (longest)")


class Drill(Functions, World):
    """As a test: Drill(seed, events)."""

    def __init__(self, seed, events, only=None):
        super().__init__("drill")
        self.number, self.count, self.only = seed, events, only
        self.limit = 120 + 6 * events
        self.figures = Figures()
        self.problems = []
        self.over = False

    def id(self):
        return f"drill {self.number} {self.count}"

    def setUp(self):
        super().setUp()
        # Who ends it hears how far it came.
        self.addCleanup(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, self.ended))

    def ended(self, *_):
        self.over = True
        raise TimeoutError("the drill was ended")

    def _alarm(self, *_):
        self.over = True
        super()._alarm()

    def drill(self):
        events = schedule(self.number, self.count, () if ROOT else NEEDS_ROOT)
        if self.only:
            events = [event for event in events if event.kind in self.only]
        self.begin()
        for event in events:
            try:
                self.event(event)
            except Exception as error:  # pylint: disable=broad-except
                if self.over:
                    print(f"drill: ended within event {event}", flush=True)
                    raise
                self.problem(event, f"{type(error).__name__}: {error}")
                traceback.print_exc(limit=-4, file=sys.stdout)
                self.again()
        self.finish()
        self.assertFalse(self.problems, f"{len(self.problems)} problems")

    def begin(self):
        self.build(self.number)
        for nic in (PROXIED, DIRECT, BYSTANDER):
            self.assertIsNotNone(self.flows(nic, seconds=15), f"no frames come through NIC {nic}")
        self.before, self.sizes = None, None
        self.balance("the start", {})

    def again(self):
        """Everything anew after what went wrong, so that the events behind it are done, too."""
        for program in self.programs:
            if program.alive():
                print("\n".join(program.text.splitlines()[-12:]), flush=True)
        for program in self.programs:
            program.close()
        self.programs.clear()
        self.demolish()
        self.begin()

    # ---- one event ----

    def event(self, event):
        fault = FAULTS[event.kind]
        trace = os.environ.get("HYPERPOLL_DRILL_TRACE")
        begin = time.monotonic()
        self.sessions = {event.nic: 3} if fault.session_ends else {}
        self.calm = None  # when the fault was over, if not now
        breaks = {nic: self.guest_a.info(nic)["breaks"] for nic in ATTACKED}
        if event.before:
            self.flows(event.nic if event.nic in ATTACKED else BYSTANDER, event.before)
        getattr(self, f"do_{event.kind}")(event, event.detail)
        self.recovers(event, fault)
        self.balance(event, self.sessions)
        if not fault.error_state and event.kind not in ("kill_guest", "kill_host"):
            for nic in ATTACKED:
                if self.guest_a.info(nic)["breaks"] != breaks[nic]:
                    self.problem(event, f"NIC {nic} broke: {self.guest_a.info(nic)['last_broken']}")
        self.figures.events += 1
        took = time.monotonic() - begin
        self.figures.kinds.setdefault(event.kind, []).append(took)
        if trace:
            print(f"     {event}: {took:.2f} s", flush=True)

    def problem(self, event, text):
        """What is wrong, but leaves the drill possible: it goes on, and fails at its end."""
        self.problems.append(f"event {event}: {text}")
        print(f"problem: drill {self.number} {self.count}: {self.problems[-1]}", flush=True)
        if len(self.problems) == PROBLEMS:
            self.fail(f"{PROBLEMS} problems")

    def recovers(self, event, fault):
        """Frames of every NIC flow again: by themselves, or once the application has reset the port."""
        for nic in sorted((*ATTACKED, BYSTANDER), key=lambda n: n != event.nic):
            since = self.calm if nic == event.nic else None
            took = self.flows(nic, since=since, seconds=RECOVERY if fault.recovers or nic != event.nic else 2)
            for _ in range(3):
                if took is None and fault.error_state and nic == event.nic:
                    self.reset(nic)
                    took = self.flows(nic)
            if took is None:
                self.fail(f"event {event}: no frames through NIC {nic} for {RECOVERY} s; port is "
                          f"{self.guest_of(nic).info(nic)['state']}")
            if nic == event.nic and fault.recovers:
                self.figures.recoveries.append(took)
        self.assertTrue(self.guest_a.alive() and self.guest_b.alive() and self.host.alive())

    def reset(self, nic):
        """What an application does with a port in an error state."""
        guest = self.guest_of(nic)
        port = guest.port(nic)
        guest.halt()
        guest.cmd(f"port stop {port}", 30)
        guest.cmd(f"port reset {port}", 30)
        guest.cmd(f"port start {port}", 30)
        guest.go()
        self.sessions[nic] = self.sessions.get(nic, 0) + 2

    def balance(self, event, sessions):
        """The books since the event before; then they begin anew."""
        before = self.before or {nic: self.zero() for nic in COUNTED}
        now, found = self.settle(before, sessions)
        for nic, hops in found.items():
            bad = [hop for hop in hops if hop.unexplained()]
            self.figures.unexplained += sum(hop.unexplained() for hop in bad)
            if bad:
                self.problem(event, f"frames of NIC {nic} that nobody counted\n" +
                             "\n".join(f"       {hop}: {hop.missing()} missing" for hop in hops))
            if broken_frames(difference(before[nic], now[nic])):
                self.problem(event, f"NIC {nic}: {broken_frames(now[nic])}")
        self.account(before, now)
        if now[BYSTANDER]["host"]["port_stats"]["lost"] > before[BYSTANDER]["host"].get("port_stats", {}).get("lost", 0):
            counted = {name: n for hop in found[BYSTANDER] for name, n in hop.counted.items() if n}
            self.problem(event, f"the bystander lost frames: {counted}")
        self.before = now
        self.same_size(event)
        self.hold(False)

    @staticmethod
    def zero():
        return {"host": {}, "guest": {}, "app": {}, "interface": {}}

    def account(self, before, now):
        for nic in (PROXIED, DIRECT, BYSTANDER):
            was = before[nic]["host"].get("port_stats", {})
            port = now[nic]["host"]["port_stats"]
            frames = port["rx_frames"] - was.get("rx_frames", 0)
            self.figures.frames += frames
            self.figures.lost += frames - (port["verified"] - was.get("verified", 0))

    def same_size(self, event):
        if self.sizes is None:
            self.sizes = self.footprint()
            return
        try:
            wait_until(lambda: self.footprint() == self.sizes, 5, "", probe=True)
        except TimeoutError:
            now = self.footprint()
            changed = ", ".join(f"{what} {n} -> {now[what]}" for what, n in self.sizes.items() if now[what] != n)
            self.sizes = now
            if changed:
                self.problem(event, f"what is open or mapped has changed: {changed}")

    def finish(self):
        """Every mbuf is back, and all ends in order."""
        self.hold(False)
        for guest in (self.guest_a, self.guest_b):
            guest.halt()
            for port in range(len(guest.nics)):
                guest.cmd(f"port stop {port}", 30)
                guest.cmd(f"port close {port}", 30)
            self.mempool_is_whole(guest)
            self.assertEqual(guest.quit(), 0)
        self.assertEqual(self.host.stop(), 0)

    # ---- the host's knobs ----

    def turned(self, event, **knobs):
        """Knobs set for the time of the fault."""
        for name, value in knobs.items():
            self.host.set(name, value, event.nic)
        time.sleep(event.ms / 1000)
        for name in knobs:
            self.host.set(name, INITIAL[name], event.nic)

    def do_stall(self, event, _):
        self.turned(event, stall=1)

    def do_stall_rx(self, event, _):
        self.turned(event, stall_rx=1)

    def do_no_complete(self, event, _):
        self.turned(event, no_complete=1)

    def do_refuse(self, event, detail):
        self.turned(event, refuse_pct=detail["pct"])
        # The last refusals of a queue are counted with its next send.
        self.flows(event.nic, 200)

    def do_malformed(self, event, detail):
        self.turned(event, malformed_rx_kind=detail["defect"], malformed_rx_pct=detail["pct"])

    def do_shape(self, event, detail):
        self.turned(event, **detail)

    def do_sections(self, event, detail):
        self.turned(event, recv_sections=detail["sections"])

    def do_narrow(self, event, detail):
        self.turned(event, tx_inflight=detail["sends"])

    def do_notices(self, event, detail):
        for n in range(detail["times"]):
            if detail["knob"] == "inject":
                self.host.set("inject", 1, event.nic)
                self.guest_a.cmd(f"set allmulti {self.guest_a.port(event.nic)} {'on' if n % 2 else 'off'}")
            else:
                value = 1 + n % 3 if detail["knob"] == "network_change" else 1000 * (1 + n % 40)
                self.host.set(detail["knob"], value, event.nic)
        self.host.set("inject", 0, event.nic)
        self.host.set("link_mbps", INITIAL["link_mbps"], event.nic)

    def do_link(self, event, _):
        self.host.request("link", event.nic, up=False)
        time.sleep(event.ms / 1000)
        self.host.request("link", event.nic, up=True)

    def do_overrun(self, event, _):
        self.guest_a.halt()
        self.host.set("stall", 1, event.nic)
        self.guest_a.go()
        time.sleep(event.ms / 1000)
        self.guest_a.halt()
        self.host.set("stall", 0, event.nic)
        time.sleep(event.ms / 1000)
        self.guest_a.go()

    # ---- control operations ----

    def settings(self, nic):
        port = self.guest_a.port(nic)
        for line in (f"set promisc {port} off", f"set allmulti {port} on", f"set allmulti {port} off",
                     f"set promisc {port} on"):
            self.guest_a.cmd(line, 30)

    def do_settings(self, event, _):
        self.settings(event.nic)

    def do_delay(self, event, detail):
        self.host.set("delay_ms", detail["delay"], event.nic)
        self.settings(event.nic)
        self.host.set("delay_ms", 0, event.nic)

    def do_silence(self, event, _):
        port = self.guest_a.port(event.nic)
        self.host.set("silence_rndis", 5, event.nic)
        self.guest_a.cmd(f"set promisc {port} off", 30)
        self.host.set("silence_rndis", 0, event.nic)
        self.guest_a.cmd(f"set promisc {port} on", 30)

    def do_restart(self, event, _):
        port = self.guest_a.port(event.nic)
        self.guest_a.halt()
        self.guest_a.cmd(f"port stop {port}", 30)
        time.sleep(event.ms / 1000)
        self.assertIn("Done", self.guest_a.cmd(f"port start {port}", 30))
        self.guest_a.go()

    # ---- sessions that end ----

    def away(self, nic):
        self.host.request("rescind", nic)
        self.awaits_state(nic, ("recovering",))
        wait_until(lambda: self.host.stats(nic)["state"] == "offered", 10, "the session is over")

    def offered(self, nic):
        self.host.request("offer", nic)
        self.calm = time.monotonic()

    def do_rescind(self, event, _):
        self.away(event.nic)
        time.sleep(event.ms / 1000)
        self.offered(event.nic)

    def do_renewed(self, event, detail):
        """Other limits, for one session; then those from before again."""
        self.away(event.nic)
        for name, value in detail.items():
            self.host.set(name, value, event.nic)
        self.offered(event.nic)
        self.assertIsNotNone(self.flows(event.nic, since=self.calm), f"event {event}: with other limits nothing flows")
        self.away(event.nic)
        for name in detail:
            self.host.set(name, INITIAL[name], event.nic)
        self.offered(event.nic)

    def do_unfit(self, event, detail):
        self.away(event.nic)
        for name, value in detail.items():
            self.host.set(name, value, event.nic)
        self.offered(event.nic)
        time.sleep(event.ms / 1000)
        for name in detail:
            self.host.set(name, INITIAL[name], event.nic)
        self.calm = None

    def do_corrupt_ring(self, event, detail):
        self.host.set("corrupt_ring", detail["channel"], event.nic)
        self.awaits_state(event.nic, ("broken",))
        self.reset(event.nic)

    def do_cut(self, event, _):
        time.sleep(event.ms / 1000)
        self.proxy.cut()
        self.calm = time.monotonic()
        self.awaits_state(PROXIED, ("recovering", "running"))

    def do_cut_message(self, event, detail):
        self.proxy.cut(detail["after"])
        wait_until(lambda: not self.proxy.limits, 15, "the guest has tried again")
        self.calm = time.monotonic()

    def do_kill_guest(self, event, _):
        before = {nic: self.before[nic]["host"] for nic in ATTACKED}
        self.guest_a.halt()  # what the application has dropped is known
        dropped = self.guest_a.dropped()
        counted = {nic: self.guest_a.counters(nic) for nic in ATTACKED}
        self.guest_a.go()
        time.sleep(event.ms / 1000)
        self.guest_a.signal(signal.SIGKILL)
        self.guest_a.wait()
        self.guest_a.close()
        wait_until(lambda: all(n["state"] == "offered" for n in self.host_counters()[:2]), 10,
                   "the host knows that the guest is gone")
        host = self.host_counters()
        for nic in ATTACKED:
            was = self.before[nic]
            gone, most = died({"host": before[nic]}, {"host": host[nic]})
            gone -= sum(counted[nic][key] - was["guest"][key] for key in ("imissed", "rx_nombuf", "ierrors", "oerrors"))
            gone -= dropped[nic] - was["app"]["dropped"]
            self.assertLessEqual(0, gone, f"event {event}: NIC {nic}")
            self.assertLessEqual(gone, most, f"event {event}: NIC {nic}")
            self.figures.died += gone
            self.before[nic] = {**self.zero(), "host": host[nic], "interface": self.before[nic].get("interface", {})}
        if ROOT:
            self.before[DIRECT]["interface"] = self.interface()
        self.guest_a = self.start_guest_a()
        self.calm = time.monotonic()
        self.sizes = None

    def do_kill_host(self, event, _):
        time.sleep(event.ms / 1000)
        self.host.signal(signal.SIGKILL)
        self.host.wait()
        self.host.close()
        for guest in (self.guest_a, self.guest_b):
            for nic in guest.nics:
                wait_until(lambda g=guest, n=nic: not g.info(n)["attached"], 10, f"NIC {nic} is away")
        # What the guests have from the host before, they have not from the next one, nor in their hands.
        for guest in (self.guest_a, self.guest_b):
            guest.halt()
            for nic, dropped in guest.dropped().items():
                self.before[nic] = {**self.zero(), "guest": guest.counters(nic), "app": {"dropped": dropped}}
                self.sessions[nic] = 3
        if ROOT:
            self.before[DIRECT]["interface"] = self.interface()
        self.host = self.start_host()
        self.calm = time.monotonic()
        self.guest_a.go()
        self.guest_b.go("io")
        self.vf = True
        self.sizes = None

    def stopped(self, program, event):
        program.signal(signal.SIGSTOP)
        time.sleep(event.ms / 1000)
        program.signal(signal.SIGCONT)

    def do_pause_host(self, event, _):
        self.stopped(self.host, event)

    def do_pause_guest(self, event, _):
        self.stopped(self.guest_a, event)

    # ---- things that run out ----

    def do_eventfds(self, event, _):
        """Both ends of every signal are full, for as long as the fault lasts."""
        host, guest = eventfds(self.host.child.pid), eventfds(self.guest_a.child.pid)
        shared = [borrow(self.host.child.pid, host[number]) for number in host.keys() & guest.keys()]
        self.assertTrue(shared, "host and guest share no eventfd")
        try:
            end = time.monotonic() + event.ms / 1000
            while time.monotonic() < end:
                for fd in shared:
                    try:
                        os.write(fd, FULL)
                    except BlockingIOError:
                        pass
                time.sleep(0.001)
        finally:
            for fd in shared:
                os.close(fd)

    def do_no_mbufs(self, event, _):
        before = self.guest_a.counters(PROXIED)["rx_nombuf"]
        self.host.set("no_complete", 1, PROXIED)
        try:
            wait_until(lambda: self.guest_a.counters(PROXIED)["rx_nombuf"] > before, 3, "no mbuf is left",
                       probe=True)
        except TimeoutError:
            pass  # descriptors ran out first
        time.sleep(event.ms / 1000)
        self.host.set("no_complete", 0, PROXIED)

    def limited(self, program, what, limit):
        """Lower a limit of a process. @return what to give it back with"""
        if what == resource.RLIMIT_NOFILE:
            # The first one that is free: with fewer than it has it could not even poll().
            used = set(map(int, os.listdir(f"/proc/{program.child.pid}/fd")))
            limit = min(n for n in range(len(used) + 1) if n not in used)
        old = resource.prlimit(program.child.pid, what)
        resource.prlimit(program.child.pid, what, (limit, old[1]))
        return lambda: resource.prlimit(program.child.pid, what, old)

    def comes_back_short_of(self, event, what, limit):
        self.away(PROXIED)
        restore = self.limited(self.guest_a, what, limit)
        try:
            self.host.request("offer", PROXIED)
            time.sleep(event.ms / 1000)
        finally:
            restore()
        self.calm = time.monotonic()

    def do_no_descriptors(self, event, _):
        self.comes_back_short_of(event, resource.RLIMIT_NOFILE, None)

    def do_no_memory(self, event, _):
        self.comes_back_short_of(event, resource.RLIMIT_AS, 1 << 20)

    def do_no_hugepages(self, event, detail):
        """Of what the session before has given back, too."""
        guest, port = self.guest_a, self.guest_a.port(event.nic)
        if detail["when"] == "recovery":
            self.away(event.nic)
        else:
            guest.halt()
            guest.cmd(f"port stop {port}", 30)
        self.assertGreater(guest.telemetry.cmd("/drill/eat")["KiB"], 0)
        try:
            if detail["when"] == "recovery":
                self.host.request("offer", event.nic)
                time.sleep(event.ms / 1000)
            else:
                started = "Done" in guest.cmd(f"port start {port}", 30)
        finally:
            guest.telemetry.cmd("/drill/give")
        self.calm = time.monotonic()
        if detail["when"] == "restart":
            if not started:
                self.assertIn("Done", guest.cmd(f"port start {port}", 30))
            guest.go()

    def do_host_no_descriptors(self, event, _):
        restore = self.limited(self.host, resource.RLIMIT_NOFILE, None)
        try:
            self.proxy.cut()
            time.sleep(event.ms / 1000)
        finally:
            restore()
        self.calm = time.monotonic()

    def do_disk_full(self, _, __):
        """Nothing is written any more, and every frame that is not is counted."""
        disk = f"/proc/{self.host.child.pid}/root{self.disk}"
        with open(f"{disk}/filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
        port = self.host.port(RECORDER)
        wait_until(lambda: self.host.port(RECORDER)["tx_dropped_error"] > port["tx_dropped_error"], 10,
                   "frames that cannot be recorded are counted")
        os.unlink(f"{disk}/filler")

    # ---- others ----

    def do_truncated(self, event, detail):
        attacks.truncated(self, self.host, HOSTILE, detail["how"])

    def do_hostile(self, event, detail):
        attacks.ATTACKS[detail["attack"]](self, self.host, HOSTILE)


__all__ = ["Drill"]
