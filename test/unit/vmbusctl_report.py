#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What vmbusctl report gathers, and that nothing private is in it.
Usage: vmbusctl_report.py VMBUSCTL"""
import json
import os
import re
import shutil
import sys
import tarfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_tree import FREE_NIC, NIC_CLASS, ROUTE_HEADER, ROUTE_NIC, SCSI, UIO_NIC, Case, main

# Every private datum of the tree below, as it stands there.
PRIVATE = [UIO_NIC, ROUTE_NIC, FREE_NIC, SCSI, "60:45:bd:00:00:01", "60-45-BD-00-00-01", "6045bd000001", "7c:1e:52:00:00:02",
           "10.11.12.13", "20.30.40.50", "2603:1030:c02::1f", "fe80::6245:bdff:fe00:1", "azure-vm-17", "AZURE-VM-17", "alice",
           "contoso", "corp.contoso.example", "0000-0011-2233-4455-66", "1f2e3d4c-aaaa-bbbb-cccc-001122334455",
           "8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d", "Asset-99"]

DMESG = f"""\
[    0.000000] Linux version 6.1.0-50-amd64 (Debian) on azure-vm-17.corp.contoso.example
[    1.234567] hv_vmbus: registering driver hv_netvsc, class {NIC_CLASS}
[    1.300000] hv_netvsc {ROUTE_NIC} eth0: VF slot 1 added, mac 60:45:bd:00:00:01
[    1.310000] hv_netvsc {FREE_NIC} (unnamed net_device): link up at 12:30:45
[    2.000000] eth0: 10.11.12.13 from 20.30.40.50, fe80::6245:bdff:fe00:1 and 2603:1030:c02::1f. Then 10.11.12.13: again
[    3.000000] mlx5_core 0001:00:02.0 enx6045bd000001: renamed, was 60-45-BD-00-00-01 of AZURE-VM-17
[    4.000000] DMI: 0000-0011-2233-4455-66 1F2E3D4C-AAAA-BBBB-CCCC-001122334455 Asset-99, user alice in /home/alice
[    5.000000] nobody is called malice; ff:ff:ff:ff:ff:ff and 0.0.0.0 and 127.0.0.1 and ::1 are nobody's
"""


class Report(Case):
    def tree(self, tree=None, **kwargs):
        t = super().tree(tree, **kwargs)
        t.put("proc/sys/kernel/hostname", "azure-vm-17\n")
        t.put("etc/hostname", "azure-vm-17\n")
        t.put("etc/machine-id", "8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d\n")
        t.put("etc/passwd", "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n")
        t.put("etc/resolv.conf", "nameserver 20.30.40.50\nsearch corp.contoso.example contoso\n")
        t.put("etc/os-release", "PRETTY_NAME=Debian\n")
        t.put("proc/cmdline", "root=/dev/sda1 console=ttyS0 ip=10.11.12.13::20.30.40.50:::eth0\n")
        t.put("sys/class/dmi/id/product_serial", "0000-0011-2233-4455-66\n")
        t.put("sys/class/dmi/id/product_uuid", "1f2e3d4c-aaaa-bbbb-cccc-001122334455\n")
        t.put("sys/class/dmi/id/chassis_asset_tag", "Asset-99\n")
        t.put("dmesg.txt", DMESG)
        self.commands = t.path("commands")
        self.script("dmesg", f"cat {t.path('dmesg.txt')}")
        self.script("ip", "echo 'link/ether 60:45:bd:00:00:01 brd ff:ff:ff:ff:ff:ff'; echo 'altname enx6045bd000001'")
        for name in ("timeout", "env", "dpdk-testpmd"):
            self.script(name, f'echo ran {name} "$@"; echo "port 0: 7c:1e:52:00:00:02" >&2; exit 124')
        os.symlink(shutil.which("tar", path="/usr/bin:/bin"), os.path.join(self.commands, "tar"))
        return t

    def script(self, name, text):
        self.t.put(f"commands/{name}", f"#!/bin/sh\n{text}\n")
        os.chmod(self.t.path(f"commands/{name}"), 0o755)

    def report(self, *words):
        code, out, err = self.run_ctl("report", *words, HYPERPOLL_COMMANDS=self.commands, TMPDIR=self.t.root)
        left = [name for name in os.listdir(self.t.root) if name.startswith("vmbusctl.")]
        self.assertEqual(left, [])
        return code, out, err

    def archive(self):
        """Names and texts of what was written."""
        path = self.t.path("report.tar.gz")
        self.assertEqual(self.report(path)[::2], (0, ""))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with tarfile.open(path) as tar:
            members = [member for member in tar.getmembers() if member.isfile()]
            self.assertEqual({(member.uid, member.gid) for member in members}, {(0, 0)})
            return {os.path.basename(member.name): tar.extractfile(member).read().decode() for member in members}

    def test_nothing_private_is_in_it(self):
        t = self.tree()
        # The first user of the device goes: it is free, and there is a traffic test.
        t.remove("proc/4242")
        t.put("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_hyperpoll.so", "")
        t.put("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_netvsc.so", "")
        files = self.archive()
        self.assertEqual(set(files), {"doctor.txt", "doctor.json", "list.txt", "status.json", "system.txt", "dmesg.txt",
                                      "links.txt", "traffic-hyperpoll.txt", "traffic-in-tree.txt"})
        for name, text in files.items():
            for datum in PRIVATE:
                self.assertIsNone(re.search(rf"(?<![0-9A-Za-z_]){re.escape(datum)}", text, re.I), (name, datum, text))
        # The temporary folder of the tree is no part of a guest, but a name of the test's.
        dmesg = files["dmesg.txt"]
        self.assertIn("hv_netvsc, class " + NIC_CLASS, dmesg)
        self.assertIn("link up at 12:30:45", dmesg)
        self.assertIn("mlx5_core 0001:00:02.0 enx0200", dmesg)
        self.assertIn("called malice; ff:ff:ff:ff:ff:ff and 0.0.0.0 and 127.0.0.1 and ::1 are", dmesg)
        self.assertIn("(dmesg: exit status 0)", dmesg)
        # What is the same stays the same: in one file, in another, and in another spelling.
        nic = re.search(r"hv_netvsc (00000000-0000-4000-8000-\w{12}) eth0", dmesg).group(1)
        status = json.loads(files["status.json"])
        self.assertEqual([d["name"] for d in status["devices"] if d["interfaces"] == ["eth0"]], [nic])
        self.assertIn(f"nic {nic}  bound to hv_netvsc, carries the default route", files["doctor.txt"])
        mac = re.search(r"mac (02:00:[0-9a-f:]{11})", dmesg).group(1)
        self.assertIn(mac.replace(":", "-"), dmesg)
        self.assertIn(f"enx{mac.replace(':', '')}", dmesg)
        self.assertIn(mac, files["links.txt"])
        first, again = re.findall(r"(192\.0\.2\.\d+)(?: from|: again)", dmesg)
        self.assertEqual(first, again)
        self.assertEqual(dmesg.lower().count("host-1"), 2)
        self.assertEqual(json.loads(files["doctor.json"])["failures"], 0)
        # The bounded test, with each driver; the device's name in it is the replaced one.
        uio = [d["name"] for d in status["devices"] if d["uio"]][0]
        self.assertIn(f"-a vmbus:{uio} ", files["traffic-hyperpoll.txt"])
        self.assertIn("ran timeout -s INT -k 2 5 dpdk-testpmd", files["traffic-hyperpoll.txt"])
        self.assertIn("-d /usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_hyperpoll.so", files["traffic-hyperpoll.txt"])
        self.assertIn("(timeout: exit status 124)", files["traffic-hyperpoll.txt"])
        self.assertIn("ran env HYPERPOLL_YIELD=1 timeout", files["traffic-in-tree.txt"])

    def test_routes_long_host_names_and_passwords_are_private(self):
        """Addresses in net/route are numbers, a host is called by the first part of its name, and a password stands on the
        kernel's command line, which the kernel prints, too."""
        t = self.tree()
        t.put("proc/sys/kernel/hostname", "billing-7.dept.fabrikam.example\n")
        t.put("etc/hostname", "billing-7.dept.fabrikam.example\n")
        t.put("etc/resolv.conf", "")
        t.put("proc/net/route", ROUTE_HEADER + "eth0\t00000000\t010C0B0A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
              "eth0\t000C0B0A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n")
        line = "console=ttyS0 ifs.password=Tr0ub4dor&3,x \"wifi.PASS=two words\" luks_key=\"of three words\" " \
               "api-Token=jmpt.qrst/uvwx= inst.ks=https://joe:hunter2@ks.example/a netroot=iscsi:anna:s3same@10.11.12.99::::t quiet"
        t.put("proc/cmdline", line + "\n")
        t.put("dmesg.txt", f"[0] Command line: {line}\n[1] billing-7 systemd[1]: Hostname set to <BILLING-7>\n"
              "[2] Unknown kernel parameters \"ifs.password=Tr0ub4dor&3,x quiet\", will be passed on\n"
              '{"in": "JSON key=\\"two words\\" and \\"pass=two words\\" and", "token": "key=glen"}\n'
              "[3] printer.dept.fabrikam.example is 10.11.12.1\n")
        files = self.archive()
        for name, text in files.items():
            for datum in ("010C0B0A", "000C0B0A", "10.11.12", "billing", "dept", "fabrikam", "Tr0ub", "two", "words", "three",
                          "jmpt", "qrst", "uvwx", "glen",
                          "joe", "hunter2", "anna", "s3same"):
                self.assertIsNone(re.search(rf"\b{re.escape(datum)}", text, re.I), (name, datum, text))
        system = files["system.txt"]
        gateway = re.search(r"^eth0 to 0\.0\.0\.0/0 by (192\.0\.2\.\d+) flags 0x3$", system, re.M).group(1)
        self.assertRegex(system, r"(?m)^eth0 to 192\.0\.2\.\d+/24 by 0\.0\.0\.0 flags 0x1$")
        self.assertRegex(files["dmesg.txt"], rf"printer\.domain-\d+ is {re.escape(gateway)}\n")
        self.assertRegex(files["dmesg.txt"], r"(?i)(host-\d+) systemd\[1\]: Hostname set to <\1>")
        # What says how the guest was started stays.
        for text in (system, files["dmesg.txt"]):
            self.assertRegex(text, r'console=ttyS0 ifs\.password=secret-\d+ "wifi\.PASS=secret-\d+" luks_key=secret-\d+ '
                             r"api-Token=secret-\d+ inst\.ks=https://secret-\d+@ks\.example/a netroot=secret-\d+@192\.0\.2\.\d+::::t "
                             r"quiet\n")
        self.assertIn(", will be passed on", files["dmesg.txt"])
        self.assertRegex(files["dmesg.txt"], r'\{"in": "JSON key=secret-\d+ and \\"pass=secret-\d+\\" and", "token": "key=secret-\d+"\}')

    def test_an_archive_with_a_colon_in_its_name_is_no_other_host(self):
        t = self.tree()
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(t.root)
        self.assertEqual(self.report("nohost:report.tar.gz")[::2], (0, ""))
        with tarfile.open(t.path("nohost:report.tar.gz")) as tar:
            self.assertIn("hyperpoll-report/doctor.txt", tar.getnames())

    def test_the_name_of_the_temporary_folder_may_be_long(self):
        """It was cut to 40 characters, so another folder was taken, or none found."""
        t = self.tree()
        folder = t.path("long/" + "x" * 200 + "/" + "y" * 200)
        os.makedirs(folder)
        self.script("tar", f"ls -d {folder}/vmbusctl.*/hyperpoll-report/doctor.txt >{t.path('ran')}")
        code, out, err = self.run_ctl("report", t.path("report.tar.gz"), HYPERPOLL_COMMANDS=self.commands, TMPDIR=folder)
        self.assertEqual((code, err), (0, ""))
        with open(t.path("ran"), encoding="utf-8") as file:
            self.assertEqual(len(file.readlines()), 1)
        self.assertEqual(os.listdir(folder), [])
        code, out, err = self.run_ctl("report", t.path("other.tar.gz"), HYPERPOLL_COMMANDS=self.commands, TMPDIR=folder + "/no")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"\Avmbusctl: cannot make a folder .*yyy/no/vmbusctl\.\w+: No such file.*\n\Z")

    def test_dry_run(self):
        t = self.tree()
        t.remove("proc/4242")
        t.put("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_hyperpoll.so", "")
        for name in ("dmesg", "ip", "timeout", "tar"):
            self.script(f"{name}", f"touch {t.path('ran')}")
        code, out, err = self.report("--dry-run", t.path("report.tar.gz"))
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"\Awould run: timeout -s INT -k 2 5 dpdk-testpmd .*-a vmbus:" + UIO_NIC)
        self.assertIn("would write @/report.tar.gz: doctor.txt doctor.json", out)
        self.assertFalse(os.path.exists(t.path("report.tar.gz")))
        self.assertFalse(os.path.exists(t.path("ran")))

    def test_that_the_archive_cannot_be_made_was_found_after_the_traffic_test(self):
        t = self.tree()
        t.remove("proc/4242")
        t.put("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_hyperpoll.so", "")
        t.put("report.tar.gz", "another report")
        for name in ("dmesg", "ip", "timeout"):
            self.script(name, f"touch {t.path('ran')}")
        for words, why in (([t.path("report.tar.gz")], "File exists"), (["--dry-run", t.path("report.tar.gz")], "File exists"),
                           ([t.path("nosuch/report.tar.gz")], "No such file or directory")):
            code, out, err = self.report(*words)
            self.assertEqual((code, out), (1, ""))
            self.assertRegex(err, rf"\Avmbusctl: cannot make @/[^\n]*report.tar.gz: {why}\n\Z")
        self.assertFalse(os.path.exists(t.path("ran")))
        self.assertEqual(self.report(t.path("other.tar.gz"))[0], 0)
        self.assertTrue(os.path.exists(t.path("ran")))

    def two_free(self):
        """Two adapters that nobody uses, and a testpmd whose second port gets less than was sent."""
        t = self.tree()
        t.remove("proc/4242")
        t.remove(t.device(FREE_NIC, "net"))
        t.make_uio(FREE_NIC, 1)
        t.put("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_hyperpoll.so", "")
        statistics = "  ### NIC statistics for port 0  ###\\n  RX-packets: 1 RX-missed: 0\\n  TX-packets: 2 TX-errors: 0\\n" + "".join(
            f"  --- Forward statistics for port {port}  ---\\n  RX-packets: {rx}     RX-dropped: 1    RX-total: 9\\n"
            f"  TX-packets: {tx}     TX-dropped: 0    TX-total: 9\\n" for port, rx, tx in ((0, 7, 1000), (1, 990, 8)))
        self.script("timeout", f"""echo "ran $*"; echo 'Configuring Port 0 (socket 0)'
echo 'Port 0: 60:45:BD:00:00:01'; echo 'Port 1: 7C:1E:52:00:00:02'
case "$*" in *--tx-first*) printf '{statistics}' ;; esac; exit 124""")
        return t

    def test_two_adapters_send_to_each_other(self):
        self.two_free()
        text = self.archive()["traffic-hyperpoll.txt"]
        self.assertTrue(text.startswith("port 0 sent 1000 frames to port 1, where 990 arrived\n"
                                        "port 1 sent 8 frames to port 0, where 7 arrived\n"), text)
        ports = dict(re.findall(r"(?m)^Port (\d): (02:00:\S+)$", text))
        look, test = re.findall(r"(?m)^ran (.*)$", text)
        self.assertIn("--forward-mode=rxonly", look)
        self.assertNotIn("--eth-peer", look)
        self.assertIn(f"--forward-mode=mac --tx-first --eth-peer=0,{ports['1']} --eth-peer=1,{ports['0']} ", test)
        for datum in PRIVATE:
            self.assertNotIn(datum.lower(), text.lower())

    def test_what_a_traffic_test_cannot_know_is_said(self):
        self.two_free()
        self.script("timeout", "echo 'Port 0: 60:45:BD:00:00:01'; echo ran $1; exit 1")
        text = self.archive()["traffic-hyperpoll.txt"]
        self.assertTrue(text.startswith("no test: testpmd did not say what addresses the ports have\n"), text)
        self.assertEqual(text.count("(timeout: exit status 1)"), 1)
        os.unlink(self.t.path("report.tar.gz"))
        self.script("timeout", "echo; echo 'Port 0: 60:45:BD:00:00:01'; echo 'Port 1: 7C:1E:52:00:00:02'; exit 1")
        text = self.archive()["traffic-hyperpoll.txt"]
        self.assertTrue(text.startswith("what was sent is not known: testpmd did not say\n"), text)
        self.assertEqual(text.count("(timeout: exit status 1)"), 2)

    def test_a_testpmd_that_is_killed_has_said_something(self):
        """Its statistics of the last second count then."""
        self.two_free()
        seconds = "".join(f" ## NIC statistics for port {port}  ##\\n  RX-packets: {n + port}   RX-missed: 0\\n  TX-packets: {n + 5}   TX-errors: 0\\n"
                          for n in (100, 200) for port in (0, 1))
        self.script("timeout", f"echo; echo 'Port 0: 60:45:BD:00:00:01'; echo 'Port 1: 7C:1E:52:00:00:02'; printf '{seconds}'; exit 137")
        text = self.archive()["traffic-hyperpoll.txt"]
        self.assertTrue(text.startswith("port 0 sent 205 frames to port 1, where 201 arrived\n"
                                        "port 1 sent 205 frames to port 0, where 200 arrived\n"), text)

    def test_a_dry_run_names_both_runs_of_two_adapters(self):
        t = self.two_free()
        self.script("timeout", f"touch {t.path('ran')}")
        code, out, err = self.report("--dry-run")
        self.assertEqual((code, err), (0, ""))
        look, test = re.findall(r"(?m)^would run: (timeout .*)$", out)
        for run in (look, test):
            self.assertRegex(run, f"-a vmbus:({UIO_NIC}|{FREE_NIC}) -a vmbus:({UIO_NIC}|{FREE_NIC}) --")
        self.assertIn("--forward-mode=rxonly", look)
        self.assertIn("--forward-mode=mac --tx-first --eth-peer=0,<address of port 1> --eth-peer=1,<address of port 0> ", test)
        self.assertFalse(os.path.exists(t.path("ran")))

    def test_who_has_something_to_report_is_told_of_it(self):
        for name in ("CONTRIBUTING.md", "README.md", "doc/guide.md", "doc/howto/azure.md", ".github/ISSUE_TEMPLATE/bug.md",
                     ".github/ISSUE_TEMPLATE/report.md"):
            with open(os.path.join(ROOT, name), encoding="utf-8") as file:
                self.assertIn("vmbusctl report`", file.read(), name)

    def test_without_a_free_adapter(self):
        self.tree()
        self.assertIn("no traffic test: no network adapter is bound to uio_hv_generic and free",
                      self.report("--dry-run")[1])
        self.assertIn("no network adapter is bound", self.archive()["traffic.txt"])

    def test_json_and_what_fails(self):
        t = self.tree()
        path = t.path("report.tar.gz")
        code, out, err = self.report("--json", path)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out)["archive"], "@/report.tar.gz")
        self.assertIn("doctor.json", json.loads(out)["files"])
        # It is there already, and stays.
        before = os.stat(path).st_mtime_ns
        code, out, err = self.report(path)
        self.assertEqual((code, out, err), (1, "", "vmbusctl: cannot make @/report.tar.gz: File exists\n"))
        self.assertEqual(os.stat(path).st_mtime_ns, before)
        self.script("tar", "exit 2")
        os.unlink(path)
        code, out, err = self.report(path)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("tar could not make", err)
        self.assertFalse(os.path.exists(path))
        self.assertEqual(self.report("--force")[0], 2)


if __name__ == "__main__":
    main(__doc__)
