# SPDX-License-Identifier: BSD-3-Clause
"""hvsim ctl without a socket finds the only host, and says how to choose among several."""
import json
import os
import subprocess

from harness import Case, HVSIM, Namespace, ROOT, needs_root

# Not a host, but as like one as its user can make it. It tells every line it hears.
FAKE = r"""
import os, socket, sys
with open("/proc/self/comm", "w") as name:  # prctl(PR_SET_NAME) needs no right
    name.write("hvsim")
os.setgid(65534)
os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(9)
print("there", flush=True)
while True:
    client = s.accept()[0]
    with client, client.makefile("rw") as lines:
        for line in lines:
            print("heard", line, flush=True)
            lines.write(r'{"ok":false,"error":"no \u001b[31m\u009b such thing"}' + "\n")
            lines.flush()
"""


class Ctl(Case):
    def ctl(self, *words, env=None, prefix=()):
        """(status, standard output, standard error)."""
        run = subprocess.run([*prefix, HVSIM, "ctl", *words], capture_output=True, text=True,
                             timeout=20, env={**os.environ, **(env or {})}, check=False)
        return run.returncode, run.stdout, run.stderr

    def where(self, *hosts):
        return {"HYPERPOLL_VFIO_USER_DIRS": ":".join([self.dir, *(host.dir for host in hosts)])}

    def test_none_is_one_sentence(self):
        status, out, err = self.ctl("stats", env=self.where())
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"\Actl: no running host found; start hvsim.*\n\Z")

    def test_the_only_host_is_found(self):
        host = self.host("sink")
        status, out, err = self.ctl("--json", "stats", "0", env=self.where(host))
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(out.count("\n"), 1)
        self.assertEqual(json.loads(out)["stats"]["guid"], host.guids[0])
        self.assertEqual(self.ctl("link", "up=false", env=self.where(host))[0], 0)

    def test_the_socket_of_a_host_that_ended_is_not_meant(self):
        gone, host = self.host("sink"), self.host("sink")
        gone.child.kill()
        gone.child.wait()
        self.assertTrue(os.path.exists(f"{gone.dir}/control.sock"))
        self.assertEqual(self.ctl("stats", env=self.where(gone, host))[0], 0)

    def test_several_are_named(self):
        hosts = [self.host("sink"), self.host("sink")]
        status, out, err = self.ctl("stats", env=self.where(*hosts))
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"\Actl: 2 hosts run: name the control socket of one, [^\n]*\n\Z")
        for host in hosts:
            self.assertIn(f"{host.dir}/control.sock", err)
            self.assertEqual(self.ctl(f"{host.dir}/control.sock", "stats", env=self.where(*hosts))[0], 0)

    def test_a_command_is_no_socket_and_words_that_make_none_are_2(self):
        for words in ((), ("--json",), (self.path("control.sock"),), ("stats", "0", "up"), ("trace", "0", "up"),
                      ("stats", "--jso")):
            status, out, err = self.ctl(*words, env=self.where())
            self.assertEqual((status, out), (2, ""), words)
            self.assertIn("Usage: hvsim ctl", err)

    def test_help_needs_no_host(self):
        for words in (("--help",), ("-h",), ("stats", "--help"), (self.path("control.sock"), "--help")):
            status, out, err = self.ctl(*words, env=self.where())
            self.assertEqual((status, err), (0, ""), words)
            self.assertIn("Usage: hvsim ctl", out)
            self.assertIn("trace [NIC]", out)

    def test_words_as_they_are_said(self):
        """What needs no key has none, and --json stands anywhere."""
        host = self.host("sink")
        for words, is_up in ((("link", "0", "down"), False), (("link", "up"), True), (("link", "0", "up=false"), False)):
            self.assertEqual(self.ctl(*words, env=self.where(host))[::2], (0, ""), words)
            for order in (("--json", "stats", "0"), ("stats", "--json", "0"), ("stats", "0", "--json")):
                status, out, err = self.ctl(*order, env=self.where(host))
                self.assertEqual((status, err, out.count("\n")), (0, "", 1), order)
                self.assertEqual(json.loads(out)["stats"]["link_up"], is_up, words)
        for word, is_there in (("present", True), ("absent", False)):
            self.assertEqual(self.ctl("vf", "0", word, env=self.where(host))[::2], (0, ""))
            self.assertEqual(host.stats()["vf_present"], is_there)
        status, out, err = self.ctl("trace", "on", env=self.where(host))
        self.assertEqual((status, out), (1, ""))
        self.assertIn("there is no trace that could go on; trace takes file=FILE", err)

    @needs_root
    def test_a_host_anywhere_is_found(self):
        """By the kernel's list, which is a network namespace's; a stranger's socket is not meant."""
        net = Namespace()
        self.addCleanup(net.close)
        os.mkdir(self.path("other"))
        stranger = self.program("stranger", [
            "python3", "-c", "import socket, sys\ns = socket.socket(socket.AF_UNIX)\n"
            "s.bind(sys.argv[1])\ns.listen(9)\nprint('there', flush=True)\nsys.stdin.read()",
            self.path("other/control.sock")], prefix=net.prefix)
        self.own(stranger).expect("there")
        host = self.host("sink", prefix=net.prefix)
        # Hosts in the default directories are seen from every namespace: there must be none.
        usual = {"XDG_RUNTIME_DIR": self.dir}
        if os.path.exists("/run/hyperpoll/control.sock"):
            self.skipTest("a host runs in /run/hyperpoll")
        status, out, err = self.ctl("--json", "stats", "0", env=usual, prefix=net.prefix)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(json.loads(out)["stats"]["guid"], host.guids[0])

    @needs_root
    def test_root_talks_to_no_fake_host_of_another_user(self):
        """Anybody may listen, be called hvsim, and own the folder of his socket: root asks none such, by ctl or the
        Python client, nor are they in the way of root's host."""
        net = Namespace()
        self.addCleanup(net.close)
        if os.path.exists("/run/hyperpoll/control.sock"):
            self.skipTest("a host runs in /run/hyperpoll")
        where = self.mkdtemp()
        os.chown(where, 65534, 65534)
        usual = {"XDG_RUNTIME_DIR": self.dir, "PYTHONPATH": os.path.join(ROOT, "python")}
        client = [*net.prefix, "python3", "-c", "import hvsim\nprint(len(hvsim.Control().stats()))"]

        def ask():
            """(status, output, errors) of ctl and of the client."""
            run = subprocess.run(client, capture_output=True, text=True, timeout=20, env={**os.environ, **usual}, check=False)
            return self.ctl("--json", "stats", env=usual, prefix=net.prefix), (run.returncode, run.stdout, run.stderr)

        fake = self.own(self.program("fake", ["python3", "-c", FAKE, f"{where}/control.sock"], prefix=net.prefix))
        fake.expect("there")
        for status, out, err in ask():
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, f"no host of yours runs; '?{where}/control.sock'? is another user's")
        host = self.host("sink", prefix=net.prefix)
        (status, out, err), python = ask()
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(json.loads(out)["nics"][0]["guid"], host.guids[0])
        self.assertEqual(python, (0, "1\n", ""))
        # Who names it means it. And it comes after all that was said before.
        status, out, err = self.ctl(f"{where}/control.sock", "last", env=usual, prefix=net.prefix)
        self.assertEqual((status, err), (1, "ctl: no ?[31m?? such thing\n"))
        fake.expect("heard .*last")
        self.assertNotIn("stats", fake.text)
        self.assertEqual(fake.text.count("heard"), 1)


class Reports(Case):
    """What hvsim prints by itself."""

    def test_lines_of_json(self):
        status, text = self.run_program("hvsim", [
            HVSIM, "--dir", self.dir, "--nic", "port=gen", "--nic", "port=sink", "--stats-interval", "1", "--duration", "2",
            "--rings", "--json"], timeout=15)
        self.assertEqual(status, 0, text)
        reports = [json.loads(line) for line in text.splitlines()]
        self.assertEqual(reports[0]["report"], "start")
        self.assertEqual([nic["port"] for nic in reports[0]["nics"]], ["gen", "sink"])
        self.assertTrue(all(os.path.basename(nic["socket"]) == nic["guid"] + ".sock" for nic in reports[0]["nics"]))
        self.assertEqual([r["report"] for r in reports], ["start"] + (len(reports) - 2) * ["rates"] + ["totals"])
        self.assertGreater(len(reports), 2)
        for report in reports[1:]:
            self.assertEqual([nic["nic"] for nic in report["nics"]], [0, 1])
            self.assertEqual([nic["rings"] for nic in report["nics"]], [[], []])
        self.assertEqual(reports[1]["nics"][0]["rx_pps"], 0)
        self.assertEqual(reports[-1]["nics"][1]["sessions"], 0)

    def test_colour(self):
        """Only on a terminal that has it."""
        for env, coloured in (({"TERM": "xterm", "NO_COLOR": ""}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False),
                              ({"TERM": "dumb", "NO_COLOR": ""}, False)):
            host = self.host("gen:verify=1/1", env=env)
            host.stop()
            host.expect("verified 0 corrupt 0")
            self.assertEqual(host.escapes > 0, coloured, env)
