# SPDX-License-Identifier: BSD-3-Clause
"""Starts hvsim and stock DPDK programs, talks to them, and never leaves anything behind.

Every child dies with this process (PR_SET_PDEATHSIG); every wait has a limit.
"""
import atexit
import ctypes
import glob
import itertools
import os
import pty
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import tty
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "python"))
import bursts
import hvsim
from hvsim import Control, HostError
connect = hvsim.connect
BUILD = os.path.join(ROOT, os.environ.get("HYPERPOLL_BUILD", "build"))
# Those of packages, and then the plugin is one that EAL loads by itself.
INSTALLED = "HYPERPOLL_INSTALLED" in os.environ
# Another build of hvsim, with a sanitizer.
HVSIM = "hvsim" if INSTALLED else \
    os.path.join(ROOT, os.environ.get("HYPERPOLL_HVSIM_BUILD", BUILD), "app/hvsim/hvsim")
# The sanitizers' build (ASan, UBSan), where one is made for the run.
ASAN_BUILD = os.path.join(ROOT, os.environ.get("HYPERPOLL_ASAN_BUILD", "build-asan"))
SANITIZED = os.path.join(ASAN_BUILD, "app/hvsim/hvsim")
if INSTALLED or "HYPERPOLL_HVSIM_BUILD" in os.environ or not os.path.exists(SANITIZED):
    SANITIZED = HVSIM


# Preloaded, it measures the bursts of the driver's ports.
BURSTS = os.path.join(BUILD, "test/preload/libhyperpoll-bursts.so")


def system_folder():
    """Where root makes folders that nobody else may write to and programs can run from: /run is mounted
    noexec on some machines."""
    return "/var/lib" if os.statvfs("/run").f_flag & os.ST_NOEXEC else "/run"


def loadable(plugin):
    """A place EAL loads the plugin from: it refuses folders below one that everyone may write."""
    folder = os.path.dirname(os.path.realpath(plugin))
    while folder != "/" and not os.stat(folder).st_mode & stat.S_IWOTH:
        folder = os.path.dirname(folder)
    if folder == "/" or not os.path.exists(plugin):
        return plugin
    base = system_folder() if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", os.path.expanduser("~"))
    private = tempfile.mkdtemp(prefix="hyperpoll-plugin-", dir=base)
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return shutil.copy2(plugin, private)


PLUGIN = None if INSTALLED else loadable(os.path.join(BUILD, "drivers/librte_hyperpoll.so"))
HUGEPAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
HUGEPAGES_NEEDED = 160
# testpmd writes its prompt byte by byte, and an event of another thread may stand within it.
_PROMPT = "testpmd> "
PROMPT = "|".join([_PROMPT] + [_PROMPT[:i] + r"(?:[^\n]*\n){1,4}" + _PROMPT[i:] for i in range(1, 8)])
SERIAL = itertools.count(os.getpid() * 1000)  # EAL instances of their own
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")


def libdpdk(option):
    """What pkg-config says of the DPDK that the tests run with."""
    return subprocess.run(["pkg-config", option, "libdpdk"], check=True, capture_output=True,
                          text=True).stdout.strip()


RELEASE = tuple(map(int, libdpdk("--modversion").split(".")[:2]))  # (22, 11)


def pmd_folder():
    """Where this DPDK loads drivers from by itself."""
    folders = glob.glob(os.path.join(libdpdk("--variable=libdir"), "dpdk", "pmds-*"))
    return folders[0] if folders else ""


# Seconds. A deadline is only reached where a test fails, and a busy machine may let any thread stand still
# for a while: so none is shorter, but for a probe, which may well end without what it looked for, and where
# the time itself is what the test claims.
DEADLINE = 30


def patience(timeout, probe=False):
    return timeout if probe else max(timeout, DEADLINE)


def wait_until(condition, timeout, what, probe=False):
    """Poll until condition() is true and return its value."""
    timeout = patience(timeout, probe)
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"after {timeout} s still not: {what}")
        time.sleep(0.02)


def memory_args():
    """EAL options for shared memory with what this machine has."""
    try:
        with open(HUGEPAGES) as file:
            if int(file.read()) >= HUGEPAGES_NEEDED:
                return ["--in-memory"]
    except OSError:
        pass
    return ["--no-huge", "-m", "256"]


def lcore_args(workers=1):
    """A main lcore and workers, on whatever CPUs we may use."""
    cpus = sorted(os.sched_getaffinity(0))
    return ["--lcores", ",".join(f"{i}@{cpus[i % len(cpus)]}" for i in range(workers + 1))]


def die_with_parent():
    # Of a shell's background jobs it is ignored, which children inherit.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Program:
    """A child on a pseudo-terminal; a thread gathers what it prints."""

    def __init__(self, name, argv, env=None, prefix=()):
        self.name = name
        self.argv = [str(arg) for arg in (*prefix, *argv)]
        self.text = ""
        self.escapes = 0  # sequences that were left out of the text
        self.changed = threading.Condition()
        self.fd, slave = pty.openpty()
        tty.setraw(slave)
        self.child = subprocess.Popen(
            self.argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=die_with_parent, env={**os.environ, "TERM": "dumb", **(env or {})})
        os.close(slave)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            with self.changed:
                if data:
                    self._take(data)
                self.changed.notify_all()
            if not data:
                return

    def _take(self, data):
        text = data.decode("utf-8", "replace")
        self.escapes += text.count("\x1b[")
        self.text += ESCAPES.sub("", text)

    def expect(self, pattern, timeout=15, start=0, probe=False):
        """Wait for a regular expression in the output after position start."""
        timeout = patience(timeout, probe)
        regex = re.compile(pattern, re.M)
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                match = regex.search(self.text, start)
                if match:
                    return match
                left = end - time.monotonic()
                if left <= 0 or not self.reader.is_alive():
                    raise TimeoutError(f"{self.name} did not print '{pattern}' in {timeout} s" +
                                       ("" if self.reader.is_alive() else " (it ended)"))
                self.changed.wait(min(left, 0.5))

    def send(self, text):
        os.write(self.fd, text.encode())

    def alive(self):
        return self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, timeout=15):
        """Wait for the end; the exit status."""
        timeout = patience(timeout)
        try:
            status = self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {timeout} s") from None
        self.reader.join(2)
        return status

    def close(self):
        if self.alive():
            self.child.kill()
            self.child.wait()
        self.reader.join(2)
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def tail(self, lines=40):
        shown = self.text.splitlines()[-lines:]
        return "\n".join([f"--- {self.name}: {' '.join(self.argv)}"] + shown)


class Host(Program):
    """hvsim with one NIC per port specification. A NIC is a port, or (settings, port).

    MAC spoofing is on unless the settings say otherwise or are None: most tests forward frames of
    others.

    @param first the number in the GUID and MAC address of the first: several hosts need different ones
    """

    def __init__(self, directory, *nics, args=(), prefix=(), program=HVSIM, env=None,
                 scenario=None, first=1):
        self.dir = directory
        self.guids, argv = [], [program, "--dir", self.dir]
        for number, nic in enumerate(nics, first):
            settings, port = nic if isinstance(nic, tuple) else ("", nic)
            settings = "" if settings is None else \
                settings if "spoof=" in settings else "spoof=on," + settings
            guid = f"48795065-7230-4000-8000-0000000000{number:02x}"
            self.guids.append(guid)
            argv += ["--nic", f"guid={guid},mac=00:15:5d:48:00:{number:02x}," +
                     ",".join([*filter(None, settings.split(",")), f"port={port}"])]
        if scenario is not None:
            path = os.path.join(self.dir, "scenario")
            with open(path, "w", encoding="ascii") as file:
                file.write(scenario)
            argv += ["--scenario", path]
        if program == SANITIZED:
            env = {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", **(env or {})}
        super().__init__("hvsim", [*argv, *args], prefix=prefix, env=env)

    def ready(self):
        """Wait until every NIC is served."""
        for number in range(len(self.guids)):
            wait_until(lambda n=number: os.path.exists(self.socket(n)) or not self.alive(), 10,
                       f"hvsim serves {self.socket(number)}")
        if not self.alive():
            raise RuntimeError("hvsim ended at its start")
        return self

    def socket(self, number=0):
        return f"{self.dir}/{self.guids[number]}.sock"

    backend = "vfio-user"  # what the driver calls it

    def where(self, number=0):
        """Where the driver says that a NIC is."""
        return self.socket(number)

    def device(self, number=0, options=""):
        """The EAL -a argument of a NIC."""
        return f"vmbus:{self.guids[number]},vfio-user={self.socket(number)}{options}"

    def request(self, cmd, nic=None, **members):
        """One request on the control socket; the answer, which must be ok."""
        with self.control() as control:
            return control.request(cmd, nic, **members)

    def control(self):
        """Its control socket; a host that takes its place is another connection."""
        return Control(f"{self.dir}/control.sock")

    def set(self, name, value, nic=0):
        """Turn a knob (hvsim ctl knobs lists them)."""
        with self.control() as control:
            control.set(name, value, nic)

    def scenario_ends(self, commands, timeout=30):
        """Wait until its scenario has ended; it has executed so many commands, and none failed."""
        done = self.expect(r"scenario .*: ended .*, (\d+) commands?, (\d+) failed", timeout)
        if (int(done.group(1)), int(done.group(2))) != (commands, 0):
            raise RuntimeError(done.group(0))

    def hold(self, on=True):
        """Keep the ports' frames back, so that none comes before the guest is as it shall be."""
        for number in range(len(self.guids)):
            self.set("stall_rx", int(on), number)

    def stats(self, number=0):
        """Counters of one NIC; its port's are under "port_stats"."""
        return self.request("stats", number)["stats"]

    def port(self, number=0):
        return self.stats(number)["port_stats"]

    def stop(self, timeout=10):
        self.signal(signal.SIGINT)
        return self.wait(timeout)

    def tail(self, lines=40):
        shown = [super().tail(lines)]
        if self.alive():
            try:
                for number in range(len(self.guids)):
                    shown += [f"NIC {number}: {self.stats(number)}"]
                    shown += [str(c) for c in self.request("rings", number)["rings"]]
            except (OSError, HostError, ValueError) as error:
                shown.append(f"no statistics: {error}")
        return "\n".join(shown)


class Testpmd(Program):
    """The distribution's dpdk-testpmd at its prompt."""

    def __init__(self, devices, mode="io", queues=1, eal=(), args=(), memory=None, env=None,
                 prefix=(), telemetry=False, ports=None, plugin=PLUGIN, timed=None):
        devices = [devices.device(n) for n in range(len(devices.guids))] \
            if isinstance(devices, Host) else devices
        argv = ["dpdk-testpmd", *lcore_args(), "-n", "1", "--no-pci",
                *([] if telemetry else ["--no-telemetry"]),
                *(memory_args() if memory is None else memory), *(["-d", plugin] if plugin else [])]
        for device in devices:
            argv += ["-a", device]
        argv += [*eal, "--", "-i", f"--forward-mode={mode}", f"--rxq={queues}", f"--txq={queues}",
                 "--total-num-mbufs=16384", "--nb-cores=1", "--no-flush-rx", *args]
        if "--file-prefix" not in argv:
            argv[1:1] = ["--file-prefix", f"hyperpoll{next(SERIAL)}"]
        self.timed = timed if os.path.exists(BURSTS) else None  # so many events: bursts.check()
        super().__init__("testpmd", argv, prefix=prefix,
                         env=env if self.timed is None else bursts.environment(BURSTS, env))
        self.ports = len(devices) if ports is None else ports

    def ready(self):
        """Wait for the prompt; every device must have become a port."""
        self.expect(PROMPT, 40)
        found = self.text.count("Configuring Port")
        if found != self.ports:
            raise RuntimeError(f"testpmd has {found} ports instead of {self.ports}")
        return self

    def cmd(self, line, timeout=15, probe=False):
        """Type a command; what it printed."""
        with self.changed:
            start = len(self.text)
        self.send(line + "\n")
        # Events may be printed into the echo of the command, so only the prompt is looked for.
        end = self.expect(PROMPT, timeout, start, probe).start()
        return self.text[start:end]

    def any_of(self, *lines):
        """Type a command whose spelling differs between releases: the first that testpmd knows."""
        for line in lines:
            text = self.cmd(line)
            if not re.search("Command not found|Bad arguments|Ambiguous command", text):
                return text
        raise AssertionError(f"testpmd knows none of {lines}: {text}")

    def dump_mempool(self):
        # With an underscore before DPDK 25.11, with a space since.
        return self.any_of("dump_mempool", "dump mempool")

    def stats(self, port=0):
        """show port stats, as a dictionary such as {"RX-packets": 1, ...}."""
        text = self.cmd(f"show port stats {port}")
        return {key: int(value) for key, value in re.findall(r"([RT]X-[\w-]+): +(\d+)", text)}

    def dropped(self, port=0):
        """Frames that it has dropped since start: those that a burst did not take, and the port's TX-errors."""
        text = self.cmd("show fwd stats all")
        found = re.search(rf"Forward statistics for port {port} .*?TX-dropped: +(\d+)", text, re.S)
        return int(found.group(1))

    def xstats(self, port=0):
        text = self.cmd(f"show port xstats {port}")
        return {key: int(value) for key, value in re.findall(r"^(\w+): (\d+)$", text, re.M)}

    def start(self, patient=None):
        """Start forwarding; in mode patient, what a full queue refuses is tried again."""
        if patient:
            self.cmd(f"set fwd {patient} retry")
            self.cmd("set burst tx delay 10 retry 100000")
        return self.cmd("start")

    def stop(self):
        return self.cmd("stop")

    def tail(self, lines=70):
        try:
            if self.alive():
                self.cmd("show port xstats all", 5, probe=True)
        except (OSError, TimeoutError):
            pass
        return super().tail(lines)

    def quit(self, timeout=15):
        """Leave; the exit status."""
        self.send("quit\n")
        status = self.wait(timeout)
        if self.timed is not None and status == 0:
            bursts.check(self.text, self.timed)
        return status


def resident_kib(program):
    with open(f"/proc/{program.child.pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def all_are(state, kind, program):
    """Are all of EAL's threads of a kind in a state: S, nothing to do, or R, busy?"""
    folder = f"/proc/{program.child.pid}/task"
    states = set()
    for task in os.listdir(folder):
        with open(f"{folder}/{task}/stat", encoding="ascii") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
        if kind in name:
            states.add(rest.split()[0])
    return states == {state}


def descriptors(program):
    """Open descriptors but EAL's own memory, a memfd for each hugepage of a heap that breathes."""
    folder = f"/proc/{program.child.pid}/fd"
    count = 0
    for fd in os.listdir(folder):
        try:
            count += not os.readlink(os.path.join(folder, fd)).startswith("/memfd:seg_")
        except FileNotFoundError:
            pass  # closed meanwhile
    return count


class Namespace:
    """A network namespace; close() removes it with all that is in it."""

    serial = 0

    def __init__(self):
        Namespace.serial += 1
        self.name = f"hyperpoll-{os.getpid()}-{Namespace.serial}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.prefix = ["ip", "netns", "exec", self.name]
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *argv, timeout=30):
        done = subprocess.run([*self.prefix, *map(str, argv)], capture_output=True, text=True,
                              timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{argv}: {done.stderr or done.stdout}")
        return done.stdout

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False)


needs_root = unittest.skipUnless(os.geteuid() == 0, "needs root")


class Case(unittest.TestCase):
    """A test with programs and folders of its own."""

    limit = 60  # seconds for one test on a quiet machine; it has up to four times as long
    hvsim = HVSIM  # or SANITIZED

    def setUp(self):
        self.programs = []
        self.dir = self.mkdtemp()
        os.environ["RUNTIME_DIRECTORY"] = self.dir
        previous = signal.signal(signal.SIGALRM, self._alarm)
        signal.alarm(self._patience())
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        self.addCleanup(signal.alarm, 0)

    def _patience(self):
        """Less than a suite has, which is ended without a word about the test."""
        return max(self.limit, min(4 * self.limit, 600))

    def _alarm(self, *_):
        raise TimeoutError(f"the test took more than {self._patience()} s")

    def mkdtemp(self):
        path = tempfile.mkdtemp(prefix="hyperpoll-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def path(self, name):
        return os.path.join(self.dir, name)

    def own(self, program):
        self.programs.append(program)
        self.addCleanup(program.close)
        return program

    def program(self, name, argv, **keys):
        return Program(name, argv, **keys)

    def run_program(self, name, argv, timeout=30, **keys):
        """Run to the end; (exit status, output)."""
        program = self.own(Program(name, argv, **keys))
        return program.wait(timeout), program.text

    def host(self, *nics, directory=None, **keys):
        host = self.own(Host(directory or self.mkdtemp(), *nics, **{"program": self.hvsim, **keys})).ready()
        if self.hvsim == SANITIZED:
            self.addCleanup(self._sanitizers_are_content, host)
        return host

    def _sanitizers_are_content(self, host):
        """With its memory and arithmetic until now, and with what it leaves when it ends."""
        if host.alive():
            host.stop()
        self.assertNotRegex(host.text, "AddressSanitizer|LeakSanitizer|runtime error:")

    def guest(self, devices, **keys):
        return self.own(Testpmd(devices, **keys)).ready()

    def assert_intact(self, port, count):
        """A generator's count frames all came back, once each and unchanged."""
        self.assertEqual((port["verified"], port["corrupt"], port["lost"], port["duplicate"]),
                         (count, 0, 0, 0), port)

    def assert_same_frames(self, got, expected, ordered=True):
        """Every byte of every frame, without printing thousands of them."""
        if not ordered:
            got, expected = sorted(got), sorted(expected)
        for n, (a, b) in enumerate(zip(got, expected)):
            if a != b:
                self.fail(f"frame {n} differs:\n got      {a.hex()}\n expected {b.hex()}")
        self.assertEqual(len(got), len(expected), "number of frames")
