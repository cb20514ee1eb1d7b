# SPDX-License-Identifier: BSD-3-Clause
"""The traffic test of vmbusctl report: stock testpmd on two adapters of hvsim, which stand in a guest's sysfs as on
Hyper-V."""
import os
import re
import shutil
import subprocess
import sys
import tarfile

from harness import BUILD, PLUGIN, ROOT, Case, lcore_args, memory_args

sys.path.insert(0, os.path.join(ROOT, "test/unit"))
from vmbusctl_tree import Tree

VMBUSCTL = os.path.join(BUILD, "app/vmbusctl/vmbusctl")
# The plugin of the tree is not where the report says it is, nor the sockets; and fewer huge pages do.
TESTPMD = """#!/bin/sh
n=$#
while [ "$n" -gt 0 ]; do
	word=$1
	shift
	n=$((n - 1))
	case $word in
	*/librte_hyperpoll.so) set -- "$@" {plugin} ;;
	--in-memory) set -- "$@" {memory} ;;
	*) set -- "$@" "$word" ;;
	esac
done
HYPERPOLL_VFIO_USER_DIRS={sockets} exec {testpmd} {lcores} "$@"
"""

# As timeout(1), which ends it by SIGINT, but when it has told twice what was exchanged, the second time after a second:
# so a busy machine may take longer to start it, and none takes the five seconds that a user has.
TIMEOUT = """#!{python} -B
import signal
import subprocess
import sys

testpmd = subprocess.Popen(["{commands}/" + sys.argv[6], *sys.argv[7:]], stdout=subprocess.PIPE)
told = 0
for line in testpmd.stdout:
    sys.stdout.buffer.write(line)
    told += b"statistics for port 1" in line
    if told == 2:
        testpmd.send_signal(signal.SIGINT)
        told = 3
sys.exit(testpmd.wait())
"""


class Report(Case):
    limit = 90

    def report(self, host):
        """What the archive says of the traffic between the two adapters of a host."""
        tree = Tree()
        self.addCleanup(tree.close)
        for number, guid in enumerate(host.guids):
            tree.add(guid, 20 + number)
            tree.make_uio(guid, number)
        tree.put("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_hyperpoll.so", "")
        commands = tree.path("commands")
        scripts = {"dpdk-testpmd": TESTPMD.format(plugin=PLUGIN, memory=" ".join(memory_args()), sockets=host.dir,
                                                  testpmd=shutil.which("dpdk-testpmd"), lcores=" ".join(lcore_args())),
                   "timeout": TIMEOUT.format(python=sys.executable, commands=commands),
                   "tar": "#!/bin/sh\nexec /usr/bin/tar \"$@\"\n"}
        for name, text in scripts.items():
            tree.put(f"commands/{name}", text)
            os.chmod(tree.path(f"commands/{name}"), 0o755)
        path = self.path("report.tar.gz")
        run = subprocess.run([VMBUSCTL, "report", path], capture_output=True, text=True, timeout=80, check=False,
                             env={**tree.environment(), "HYPERPOLL_COMMANDS": commands})
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        with tarfile.open(path) as tar:
            text = tar.extractfile("hyperpoll-report/traffic-hyperpoll.txt").read().decode()
        os.unlink(path)
        for address in ("00:15:5d:48:00:01", "00:15:5d:48:00:02", *host.guids):
            self.assertNotIn(address, text.lower())
        return text

    def exchanged(self, text):
        """[(sent, arrived)] of either way."""
        lines = re.findall(r"^port (\d) sent (\d+) frames to port (\d), where (\d+) arrived", text, re.M)
        self.assertEqual([(sender, receiver) for sender, _, receiver, _ in lines], [("0", "1"), ("1", "0")], text)
        return [(int(sent), int(arrived)) for _, sent, _, arrived in lines]

    def test_two_adapters_on_one_network_exchange_frames(self):
        host = self.host(*[("spoof=off", "switch:report")] * 2)
        text = self.report(host)
        for number, (sent, arrived) in enumerate(self.exchanged(text)):
            # More than the first burst, and none was lost: a burst is on its way at the end.
            self.assertTrue(64 < sent - 32 <= arrived <= sent, text)
            # The host has them, too.
            self.assertGreaterEqual(host.stats(number)["tx_frames"], arrived)
            self.assertGreaterEqual(host.stats(1 - number)["rx_frames"], arrived)
            # Of its own address, to the other's: nobody else got any, and none was refused.
            self.assertEqual(host.stats(number)["tx_dropped_spoof"] + host.stats(number)["port_stats"]["tx_unclaimed"], 0)
        self.assertNotIn("not on one network", text)

    def test_two_adapters_that_cannot_reach_each_other(self):
        text = self.report(self.host("switch:here", "switch:there"))
        for sent, arrived in self.exchanged(text):
            self.assertEqual(sent, 32)
            self.assertEqual(arrived, 0)
        self.assertEqual(text.count("arrived: they are not on one network, or it carries only addresses"), 2)
