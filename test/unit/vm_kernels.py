#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Kernels for the guests of test/vm: which is meant, what is taken from its package, what its initramfs holds."""
import fcntl
import gzip
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
VM = os.path.join(os.path.dirname(HERE), "vm")
sys.path.insert(0, VM)
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import images
import kernels

VERSIONS = ["6.1.0-9-amd64", "6.1.0-50-amd64", "6.12.95+deb12-amd64", "7.2.12+deb14-amd64"]


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hyperpoll-kernels.")
        self.addCleanup(shutil.rmtree, self.folder)

    def put(self, path, data):
        full = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())

    def kernel(self, version, image, modules, builtin=()):
        """An unpacked package; `modules`: path below the modules' folder -> (paths it needs, content)"""
        tree = "%s/lib/modules/%s/" % (version, version)
        self.put(image, "bzImage")
        self.put(tree + "modules.dep",
                 "".join("%s: %s\n" % (path, " ".join(needed)) for path, (needed, _) in modules.items()))
        self.put(tree + "modules.builtin", "".join(path + "\n" for path in builtin))
        for path, (_, data) in modules.items():
            self.put(tree + path, data)
        self.put(version + "/complete", "")


class Choice(Folder):
    def test_6_1_meant_6_12_too(self):
        for wanted, version in (("6.1", VERSIONS[1]), ("6", VERSIONS[2]), ("6.12", VERSIONS[2]), ("7", VERSIONS[3]),
                                ("7.2.12+deb14-amd64", VERSIONS[3]), ("newest", VERSIONS[3]), ("5", None),
                                ("7.2.1", None), ("6.1.0-5", None), (".", None)):
            self.assertEqual(kernels.newest_of(VERSIONS, wanted), version, wanted)

    def test_what_is_unpacked_needs_no_package_sources(self):
        self.kernel("6.12.95+deb12-amd64", "6.12.95+deb12-amd64/boot/vmlinuz-6.12.95+deb12-amd64", {})
        # Without an image beside boot/, and half unpacked.
        self.kernel("7.2.12+deb14-amd64", "7.2.12+deb14-amd64/lib/modules/7.2.12+deb14-amd64/vmlinuz", {})
        self.put("7.2.13+deb14-amd64/boot/vmlinuz-7.2.13+deb14-amd64", "")
        with mock.patch.object(kernels, "CACHE", self.folder), \
                mock.patch.object(kernels, "Sources", side_effect=AssertionError("asked apt")):
            for wanted, version, image in (
                    ("6.12", "6.12.95+deb12-amd64", "boot/vmlinuz-6.12.95+deb12-amd64"),
                    ("7.2", "7.2.12+deb14-amd64", "lib/modules/7.2.12+deb14-amd64/vmlinuz")):
                root = os.path.join(self.folder, version)
                self.assertEqual(kernels.select(wanted), kernels.Kernel(version, os.path.join(root, image), root))

    def test_a_kernel_that_is_not_there_is_refused_with_those_that_are(self):
        with mock.patch.object(kernels, "CACHE", self.folder), mock.patch.object(kernels, "Sources") as sources:
            sources.return_value.versions.return_value = VERSIONS
            with self.assertRaisesRegex(FileNotFoundError, "no kernel 5.10 in the package sources; there are: 6.1.0-9"):
                kernels.select("5.10")


class Unpacking(Folder):
    """With stubs of apt's and dpkg's tools: a package is a folder's name in a file, and holds an image and a module."""

    VERSION = "6.12.95+deb12-amd64"
    TOOLS = {
        "apt-get": """case "$*" in
            indextargets*) echo 'http://deb Debian bookworm';;
            *download*) for package; do :; done; echo "$package" >"${package}_2.deb";;
            esac""",
        "apt-cache": """case "$*" in
            *linux-image-amd64) echo 'Depends: linux-image-6.1.0-50-amd64 | linux-image-%(v)s, linux-image-%(v)s';;
            *linux-image-%(v)s) echo 'Depends: kmod, linux-modules-%(v)s';;
            esac""" % {"v": VERSION},
        "dpkg-deb": """mkdir -p "$3/usr/lib/modules/%(v)s" "$3/boot"
            cp "$2" "$3/usr/lib/modules/%(v)s/"
            case "$2" in *linux-image*) cp "$2" "$3/boot/vmlinuz-%(v)s";; esac""" % {"v": VERSION},
        "depmod": '[ -e "$2/lib/modules/$3/linux-modules-${3}_2.deb" ] && touch "$2/lib/modules/$3/modules.dep"',
    }

    def setUp(self):
        super().setUp()
        for name, text in self.TOOLS.items():
            self.tool(name, text)
        os.mkdir(self.cache)
        for patch in (mock.patch.object(kernels, "CACHE", self.cache),
                      mock.patch.dict(os.environ, PATH="%s/bin:%s" % (self.folder, os.environ["PATH"]))):
            patch.start()
            self.addCleanup(patch.stop)

    @property
    def cache(self):
        return os.path.join(self.folder, "cache")

    def tool(self, name, text):
        self.put("bin/" + name, "#!/bin/sh\n%s\n" % text)
        os.chmod(os.path.join(self.folder, "bin", name), 0o755)

    def unpacked(self, wanted="6.12"):
        kernel = kernels.select(wanted)
        self.assertEqual((kernel.version, kernel.root), (self.VERSION, os.path.join(self.cache, self.VERSION)))
        self.assertTrue(os.path.exists(kernel.image))
        self.assertEqual(sorted(os.listdir(os.path.join(kernel.root, "lib/modules", self.VERSION))),
                         ["linux-image-%s_2.deb" % self.VERSION, "linux-modules-%s_2.deb" % self.VERSION, "modules.dep"])
        # Of downloads nothing is left.
        self.assertEqual([name for _, _, names in os.walk(os.path.join(self.cache, "apt")) for name in names
                          if name.endswith(".deb")], [])

    def test_it_is_unpacked_once(self):
        self.unpacked()
        self.tool("apt-get", "exit 1")
        self.unpacked()

    def test_what_an_interrupted_one_left_was_in_the_way_for_ever(self):
        """Of an older program, too: a folder half made, and a package of an older revision."""
        self.put("cache/%s/lib/modules/%s/half" % (self.VERSION, self.VERSION), "")
        self.put("cache/apt/linux-image-%s_1.deb" % self.VERSION, "linux-image")
        self.put("cache/.unpacking/root/usr/lib/modules/half", "")
        with mock.patch.object(kernels.os, "rename", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            kernels.select("6.12")
        os.unlink(os.path.join(self.cache, "apt/linux-image-%s_1.deb" % self.VERSION))
        self.unpacked()

    def test_two_runs_unpack_one_after_the_other(self):
        with open(os.path.join(self.cache, "lock"), "w", encoding="ascii") as lock, \
                mock.patch("sys.stdout", io.StringIO()) as said, ThreadPoolExecutor(1) as pool:
            fcntl.flock(lock, fcntl.LOCK_EX)
            other = pool.submit(self.unpacked)
            while "another run is unpacking" not in said.getvalue() and not other.done():
                time.sleep(0.01)
            self.assertFalse(other.done())
            fcntl.flock(lock, fcntl.LOCK_UN)
            other.result()

    def test_a_tool_that_fails_is_told_in_a_sentence_and_breaks_nothing(self):
        for name in self.TOOLS:
            with self.subTest(name):
                self.tool(name, "echo no such luck >&2; exit 3")
                with self.assertRaisesRegex((RuntimeError, FileNotFoundError), "no such luck|no kernel 6.12 in the"):
                    kernels.select("6.12")
                self.tool(name, self.TOOLS[name])
        self.unpacked()

    def test_a_series_that_is_unpacked_will_do_but_is_not_the_newest_of_all(self):
        """With an unpacked 6.1, "6" was it."""
        self.kernel("6.1.0-50-amd64", "6.1.0-50-amd64/boot/vmlinuz-6.1.0-50-amd64", {})
        os.rename(os.path.join(self.folder, "6.1.0-50-amd64"), os.path.join(self.cache, "6.1.0-50-amd64"))
        self.assertEqual(kernels.select("6.1").version, "6.1.0-50-amd64")
        self.unpacked("6")
        self.unpacked("newest")
        # Without any offer what is here is all there is.
        self.tool("apt-cache", "exit 1")
        self.unpacked("newest")

    def test_an_empty_word_in_the_environment_is_none(self):
        for script in ("run.py", "shell.py"):
            spec = importlib.util.spec_from_file_location("vm_script", os.path.join(VM, script))
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            with mock.patch.dict(os.environ, HYPERPOLL_KERNEL=""), mock.patch.object(sys, "argv", [script]), \
                    mock.patch.object(module.kernels, "select", side_effect=RuntimeError("asked")) as select, \
                    mock.patch.object(module.os, "access", return_value=True), \
                    self.assertRaisesRegex(SystemExit, "vm: asked"):
                module.main()
            select.assert_called_once_with(None)


class Modules(Folder):
    """One kernel with modules of its own, compressed; one with the bus built in."""

    def setUp(self):
        super().setUp()
        self.kernel("7", "7/lib/modules/7/vmlinuz", {
            "kernel/net/hv_netvsc.ko.gz": (["kernel/net/failover.ko.gz"], gzip.compress(b"netvsc")),
            "kernel/net/failover.ko.gz": ([], gzip.compress(b"failover")),
            "kernel/uio/uio_hv_generic.ko": (["kernel/uio/uio.ko"], b"generic"),
            "kernel/uio/uio.ko": ([], b"uio"),
            "kernel/arch/kvm-amd.ko": ([], b"kvm"),
        }, ["kernel/drivers/hv/hv_vmbus.ko"])
        self.seven = kernels.Kernel("7", "", os.path.join(self.folder, "7"))

    def test_order(self):
        names = [n for n, _ in kernels.module_files(self.seven, ["hv_vmbus", "hv_netvsc", "uio", "uio_hv_generic"])]
        self.assertEqual(names, ["failover", "hv_netvsc", "uio", "uio_hv_generic"])
        with self.assertRaisesRegex(FileNotFoundError, "kernel 7 has no module hv_sock"):
            kernels.module_files(self.seven, ["hv_sock"])

    def test_initramfs(self):
        archive = images.base(self.seven, ["hv_vmbus", "hv_netvsc", "uio_hv_generic", "kvm-amd"], "init-l2.sh")
        held = {name[len("modules/"):]: data for name, (_, data) in archive.entries.items()
                if name.startswith("modules/")}
        self.assertEqual(held, {
            "failover.ko": b"failover", "hv_netvsc.ko": b"netvsc", "uio.ko": b"uio", "uio_hv_generic.ko": b"generic",
            "kvm-amd.ko": b"kvm", "order": b"failover\nhv_netvsc\nuio\nuio_hv_generic\nkvm-amd\n",
            "needed": b"failover,uio\n"})

    def loaded(self, load, files):
        """What the guest's init loads, its own lines run by a shell with an insmod that only tells."""
        with open(os.path.join(VM, "init-l2.sh"), encoding="ascii") as f:
            script = f.read()
        part = script[script.index("IFS=,"):script.index("unset IFS")].replace("/modules/", self.folder + "/")
        for name, data in files.items():
            self.put(name, data)
        run = subprocess.run(["sh", "-c", "insmod() { echo $1; }; load=%s\n%s" % (load, part)],
                             capture_output=True, text=True, check=True)
        return [os.path.basename(line) for line in run.stdout.split()]

    def test_the_guest_loads_what_is_needed_first_and_nothing_that_is_built_in(self):
        files = {name: "" for name in ("failover.ko", "hv_netvsc.ko", "uio.ko")}
        self.assertEqual(self.loaded("hv_vmbus,hv_netvsc", {**files, "needed": "failover\n"}),
                         ["failover.ko", "hv_netvsc.ko"])
        self.assertEqual(self.loaded("hv_vmbus,hv_netvsc", {**files, "needed": "\n"}), ["hv_netvsc.ko"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
