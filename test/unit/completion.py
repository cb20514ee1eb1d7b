#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Completion in bash and zsh, as typed: what is offered for a line whose cursor is at its end.
Usage: completion.py FOLDER-OF-COMPLETIONS VMBUSCTL HVSIM [HVSIM-VM]"""
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_tree import FREE_NIC, ROUTE_NIC, SCSI, UIO_NIC, example

COMMANDS = {"list", "status", "bind", "unbind", "doctor", "report", "top"}
NICS = {UIO_NIC, ROUTE_NIC, FREE_NIC, "uio0", "eth0", "eth1"}


class Bash(unittest.TestCase):
    # Words as readline splits them: at blanks, and at = and : which are words of their own.
    SCRIPT = """. "$1"; line=$2; COMP_WORDS=(); rest=$line
while [ -n "$rest" ]; do
	if [[ $rest =~ ^([=:]+)(.*)$ || $rest =~ ^([^\\ =:]+)(.*)$ ]]; then
		COMP_WORDS+=("${BASH_REMATCH[1]}"); rest=${BASH_REMATCH[2]}
	else rest=${rest# }; [ -n "$rest" ] || COMP_WORDS+=(""); fi
done
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); COMP_LINE=$line; COMP_POINT=${#line}
spec=$(complete -p "${COMP_WORDS[0]}"); [[ $spec =~ -F\\ ([^ ]+) ]]
"${BASH_REMATCH[1]}" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}" """

    def setUp(self):
        self.tree = example()
        self.addCleanup(self.tree.close)
        os.makedirs(self.tree.path("bin"))
        for program in PROGRAMS:
            os.symlink(program, self.tree.path(f"bin/{os.path.basename(program)}"))
        # Hosts of whoever else uses this machine offer nothing.
        self.environment = {**os.environ, "HYPERPOLL_SYSFS_ROOT": self.tree.path("sys"),
                            "HYPERPOLL_VFIO_USER_DIRS": self.tree.path("nobody"),
                            "PATH": f"{self.tree.path('bin')}:{os.environ['PATH']}"}

    def offers(self, line):
        done = subprocess.run(["bash", "--norc", "-c", self.SCRIPT, "bash", os.path.join(FOLDER, "hyperpoll.bash"), line],
                              env=self.environment, capture_output=True, text=True, timeout=30, check=False,
                              cwd=self.tree.root)
        self.assertEqual((done.returncode, done.stderr), (0, ""), line)
        return set(filter(None, done.stdout.split("\n")))

    def test_vmbusctl(self):
        for line, offered in (
                ("vmbusctl ", COMMANDS), ("vmbusctl b", {"bind"}), ("vmbusctl bind ", NICS),
                ("vmbusctl unbind u", {"uio0"}), ("vmbusctl bind e", {"eth0", "eth1"}),
                ("vmbusctl status f", {SCSI}), ("vmbusctl list ", set()), ("vmbusctl bind eth1 --vf ", {"auto", "keep", "vfio-pci"}),
                ("vmbusctl bind eth1 --u", {"--user"}), ("vmbusctl unbind --", {"--dry-run", "--force", "--persist", "--json"}),
                ("vmbusctl doctor --", {"--json"}), ("vmbusctl top --f", {"--file-prefix"}), ("vmbusctl report --", {"--dry-run", "--json"}), ("vmbusctl bind --user roo", {"root"})):
            self.assertEqual(self.offers(line), offered, line)
        self.assertEqual(self.offers("vmbusctl status "), NICS | {SCSI})
        self.assertLessEqual({"--help", "--version", "--persist", "--vf"}, self.offers("vmbusctl --"))

    def test_hvsim(self):
        self.assertLessEqual({"--nic", "--dir", "--control"}, self.offers("hvsim --"))
        for line, offered in (("hvsim c", {"ctl"}), ("hvsim --poll a", {"adaptive"}),
                              ("hvsim --nic gu", {"guid="}), ("hvsim --nic mac=00,spo", {"00,spoof="}),
                              ("hvsim --nic profile=o", {"openhcl"}), ("hvsim --nic spoof=on,port=s", {"sink", "switch:"}),
                              ("hvsim --nic vf", {"vf-port="}), ("hvsim --nic vf-port=s", {"sink", "switch:"}),
                              ("hvsim --nic vf-port=sink,port=g", {"gen"}),
                              ("hvsim --nic port=", {"tap:", "pcap:", "gen", "sink", "echo", "switch:"}),
                              ("hvsim --nic port=sink --du", {"--duration"}),
                              ("hvsim --nic mac=00:15:5d:48:00:01,spr", {"01,spread="}), ("hvsim --nic mac=00:", set()),
                              ("hvsim --nic port=gen:wi", {"window="}), ("hvsim --nic port=gen:size=60,la", {"60,latency="}),
                              ("hvsim --nic port=gen:latency=", {"on", "off"}), ("hvsim --nic spoof=o", {"on", "off"}),
                              ("hvsim --nic port=pcap:", {"in=", "out=", "loop=", "rate="}),
                              ("hvsim --nic vf-port=gen:size=60,po", {"60,port="}), ("hvsim --duration ", set()),
                              ("hvsim ctl x.sock r", {"rings", "rescind"}), ("hvsim ctl r", {"rings", "rescind"}),
                              ("hvsim ctl --json of", {"offer"}), ("hvsim ctl --j", {"--json"}), ("hvsim ctl stats --j", {"--json"}), ("hvsim ctl link ", {"up", "down"}),
                              ("hvsim ctl --json link 0 ", {"up", "down"}), ("hvsim ctl ./x.sock link 0 u", {"up"}),
                              ("hvsim ctl trace ", {"file=", "on", "off", "snaplen="}), ("hvsim ctl vf 0 p", {"present", "path=synthetic"}),
                              ("hvsim ctl set 0 ", {"name=", "value="}), ("hvsim ctl rescind x", set()), ("hvsim ctl knobs ", set()), ("hvsim t", {"top"}), ("hvsim top --j", {"--json"}), ("hvsim --dir b", {"bin"})):
            self.assertEqual(self.offers(line), offered, line)
        self.tree.put("control.sock", "")
        self.assertIn("control.sock", self.offers("hvsim ctl c"))

    def test_file_names_where_an_option_takes_a_file(self):
        self.tree.put("vmlinuz", "")
        for line in ("hvsim --trace ", "hvsim --scenario ", "hvsim --control ", "hvsim --nic trace=", "hvsim --nic spoof=on,capture=",
                     "hvsim --nic port=pcap:in=", "hvsim --nic port=pcap:in=x,out=", "hvsim ctl trace 0 file=",
                     "hvsim ctl ./control.sock trace file=", "vmbusctl report ", "vmbusctl report --dry-run ",
                     *(["hvsim-vm --kernel ", "hvsim-vm --initrd ", "hvsim-vm --trace ", "hvsim-vm --scenario "] if len(PROGRAMS) > 2 else [])):
            self.assertEqual(self.offers(line + "vml"), {"vmlinuz"}, line)
        for line in ("hvsim --threads ", "hvsim --user ", "hvsim ctl link 0 ", "hvsim --nic "):
            self.assertNotIn("vmlinuz", self.offers(line), line)

    @unittest.skipUnless(len(sys.argv) > 4, "no hvsim-vm")
    def test_hvsim_vm(self):
        for line, offered in (("hvsim-vm c", {"ctl"}), ("hvsim-vm t", {"top"}), ("hvsim-vm --ke", {"--kernel"}), ("hvsim-vm --sc", {"--scenario"}), ("hvsim-vm --ex", {"--exit-after-scenario"}),
                              ("hvsim-vm --xsave ", {"on", "off"}), ("hvsim-vm --monitor ", {"poll", "none"}), ("hvsim-vm --mem ", set()),
                              ("hvsim-vm --nic port=e", {"echo"}), ("hvsim-vm ctl rin", {"rings"})):
            self.assertEqual(self.offers(line), offered, line)

    def test_what_a_running_host_has(self):
        """NIC numbers, knobs and their values are those of the host."""
        host = subprocess.Popen(["hvsim", "--dir", self.tree.path("host"), "--nic", "port=sink", "--nic", "port=sink"],
                                env=self.environment, stdout=subprocess.PIPE, text=True)
        self.addCleanup(host.wait)
        self.addCleanup(host.terminate)
        self.addCleanup(host.stdout.close)
        self.assertIn("NIC 0 at", host.stdout.readline())
        self.environment["HYPERPOLL_VFIO_USER_DIRS"] = self.tree.path("host")
        for line, offered in (("link ", {"0", "1", "up", "down"}), ("rescind ", {"0", "1"}), ("link 0 ", {"up", "down"}),
                              ("knobs ", set()), ("set 0 name=stall", {"stall", "stall_rx"}), ("set 0 name=refuse_r", {"refuse_recv", "refuse_rss"}),
                              ("set 1 name=stall value=", {"0", "1"}), ("set 1 name=vf_switch value=", {"take", "refuse", "fail", "ignore"}),
                              ("set 0 name=rate value=", set())):
            self.assertEqual(self.offers("hvsim ctl " + line), offered, line)
            self.assertEqual(self.offers("hvsim ctl ./host/control.sock " + line), offered, line)
            self.assertEqual(self.offers("hvsim ctl --json " + line), offered, line)

    def test_every_option_of_the_help_is_offered_somewhere(self):
        words = set(subprocess.run(["vmbusctl", "--help"], env=self.environment, capture_output=True, text=True,
                                   check=True).stdout.split())
        for option in self.offers("vmbusctl --"):
            self.assertTrue([word for word in words if option in word], option)


@unittest.skipUnless(shutil.which("zsh"), "no zsh")
class Zsh(Bash):
    def offers(self, line):
        """Functions called as the completion system does, with compadd that prints what fits."""
        words = line.split(" ")
        script = """
compadd() { local -a w; local p; while [[ $1 == -[-aSU]* ]]; do case $1 in -a) w=(${(P)2}); shift 2;; -S) shift 2;;
--) shift; break;; *) shift;; esac; done; w+=("$@"); for p in $w; do [[ $p == ${words[CURRENT]}* ]] && print -r -- "$PFX$p"; done }
compset() { [[ $1 == -P ]] && [[ ${words[CURRENT]} == $~2* ]] || return 1
local rest=${words[CURRENT]##$~2}; PFX+=${words[CURRENT]%$rest}; words[CURRENT]=$rest }
_users() { compadd root daemon }
_files() { [[ $1 == -/ ]] && compadd *(/N) || compadd *(N) }
words=("$@[2,-1]"); CURRENT=$#words; service=$words[1]; . $1"""
        done = subprocess.run(["zsh", "-f", "-c", script, "zsh", os.path.join(FOLDER, "_hyperpoll"), *words],
                              env=self.environment, capture_output=True, text=True, timeout=30, check=False,
                              cwd=self.tree.root)
        self.assertEqual(done.stderr, "", line)
        # bash's word begins behind the last "=" or ":" that was typed.
        typed = words[-1]
        start = max(typed.rfind("="), typed.rfind(":")) + 1
        return {offer[start:] for offer in filter(None, done.stdout.split("\n"))}


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    FOLDER, *PROGRAMS = [os.path.realpath(path) for path in sys.argv[1:]]
    del sys.argv[1:]
    unittest.main(verbosity=1)
