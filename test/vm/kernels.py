# SPDX-License-Identifier: BSD-3-Clause
"""Debian kernels for the guest: the installed one, or one of another release, unpacked and not installed."""
import collections
import fcntl
import glob
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.realpath(__file__))
CACHE = os.path.join(os.path.dirname(os.path.dirname(HERE)), ".cache", "kernels")

# root: where lib/modules/<version> is.
Kernel = collections.namedtuple("Kernel", "version image root")


def numbers(version):
    return [int(n) for n in re.findall(r"\d+", version)]


def newest_of(versions, wanted):
    """The newest that `wanted` names: "newest", or how a version starts (6.1 is not how 6.12 does); or None."""
    named = [v for v in versions if wanted == "newest" or re.match(re.escape(wanted) + r"(?!\d)", v)]
    return max(named, key=numbers, default=None)


def installed():
    """Newest installed kernel."""
    images = glob.glob("/boot/vmlinuz-*")
    if not images:
        raise FileNotFoundError("no kernel in /boot: apt-get install linux-image-amd64")
    image = max(images, key=lambda p: numbers(os.path.basename(p)))
    return Kernel(image[len("/boot/vmlinuz-"):], image, "/")


def tool(*argv, check=True, cwd=None):
    """@return what a program prints"""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd)
    if check and done.returncode != 0:
        raise RuntimeError("%s failed: %s" % (" ".join(argv), done.stderr.strip()))
    return done.stdout


class Sources:
    """apt with the kernels of this release, its backports and testing; the machine's own stays as it is."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        entries = tool("apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(CODENAME)").split("\n")
        debian = [e.split() for e in entries if e.split()[1:2] == ["Debian"] and "-" not in e.split()[2]]
        if not debian:
            raise RuntimeError("this machine has no package sources of Debian")
        uri, _, codename = debian[0]
        with open(os.path.join(folder, "sources.list"), "w", encoding="ascii") as f:
            for suite in (codename, codename + "-backports", "testing"):
                f.write("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n" % (uri, suite))
        with open(os.path.join(folder, "status"), "w", encoding="ascii"):
            pass
        self.run("apt-get", "-q", "update", check=False)

    def run(self, name, *args, check=True, cwd=None):
        options = {"Dir::Etc::sourcelist": "sources.list", "Dir::Etc::sourceparts": "-",
                   "Dir::State::lists": "lists", "Dir::State::status": "status", "Dir::Cache": "cache"}
        argv = [name]
        for key, value in options.items():
            argv += ["-o", "%s=%s" % (key, value if value == "-" else os.path.join(self.folder, value))]
        argv += ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
        return tool(*argv, *args, check=check, cwd=cwd)

    def depends(self, package):
        text = self.run("apt-cache", "show", package, check=False)
        return [re.split(r"[ (|]", d.strip())[0] for line in re.findall(r"^Depends: (.*)$", text, re.M)
                for d in line.split(",")]

    def versions(self):
        """Kernels on offer, the newest last."""
        found = [re.match(r"linux-image-(\d.*-amd64)$", d) for d in self.depends("linux-image-amd64")]
        return sorted({m.group(1) for m in found if m}, key=numbers)


def cached(version):
    root = os.path.join(CACHE, version)
    # Newer packages have the image beside the modules.
    image, = glob.glob(os.path.join(root, "boot", "vmlinuz-*")) or [os.path.join(root, "lib/modules", version, "vmlinuz")]
    return Kernel(version, image, root)


def unpack(sources, version):
    """The kernel's packages in a new folder, which gets its name when it is whole: an end on the way leaves none."""
    new = os.path.join(CACHE, ".unpacking")
    downloads, root = os.path.join(new, "packages"), os.path.join(new, "root")
    shutil.rmtree(new, ignore_errors=True)
    os.makedirs(downloads)
    os.makedirs(root)
    package = "linux-image-" + version
    # Newer releases keep the modules in a package of their own.
    for part in [package] + [d for d in sources.depends(package) if d.endswith(version)]:
        sources.run("apt-get", "-q", "download", part, cwd=downloads)
    for deb in sorted(os.listdir(downloads)):
        tool("dpkg-deb", "-x", os.path.join(downloads, deb), root)
    for top in glob.glob(os.path.join(root, "usr", "lib", "modules")):
        os.makedirs(os.path.join(root, "lib"), exist_ok=True)
        os.rename(top, os.path.join(root, "lib", "modules"))
    tool("depmod", "-b", root, version)
    with open(os.path.join(root, "complete"), "w", encoding="ascii"):
        pass
    shutil.rmtree(os.path.join(CACHE, version), ignore_errors=True)
    os.rename(root, os.path.join(CACHE, version))
    shutil.rmtree(new, ignore_errors=True)


def ready():
    """Versions that are unpacked."""
    return [os.path.basename(os.path.dirname(mark)) for mark in glob.glob(os.path.join(CACHE, "*", "complete"))]


def unpacked(wanted):
    """The kernel with version prefix `wanted`, or the newest, of a release that apt can reach.

    Of a series (6.12) whichever is unpacked will do: its kernels differ in repairs."""
    if "." in wanted and newest_of(ready(), wanted):
        return cached(newest_of(ready(), wanted))
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("vm: another run is unpacking a kernel, which comes first", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        sources = Sources(os.path.join(CACHE, "apt"))
        versions = sources.versions()
        version = newest_of(versions + ready(), wanted)
        if version is None:
            raise FileNotFoundError("no kernel %s in the package sources; there are: %s"
                                    % (wanted, " ".join(versions) or "none"))
        if version not in ready():
            unpack(sources, version)
        return cached(version)


def select(wanted=None):
    """None: the installed kernel; else what ./run test vm --kernel names."""
    return installed() if wanted is None else unpacked(wanted)


def module_files(kernel, names):
    """(name, path) of modules in the order to load them, with what they depend on, built-in ones left out."""
    tree = os.path.join(kernel.root, "lib", "modules", kernel.version)
    plain = lambda path: re.sub(r"\.ko(\.\w+)?$", "", os.path.basename(path)).replace("-", "_")  # noqa: E731
    with open(os.path.join(tree, "modules.dep"), encoding="ascii") as f:
        lines = [line.rstrip("\n").partition(":") for line in f]
    paths = {plain(path): (path, needed.split()) for path, _, needed in lines}
    with open(os.path.join(tree, "modules.builtin"), encoding="ascii") as f:
        builtin = {plain(line.strip()) for line in f}
    order = {}
    for name in names:
        key = name.replace("-", "_")
        if key not in paths:
            if key in builtin:
                continue
            raise FileNotFoundError("kernel %s has no module %s" % (kernel.version, name))
        path, needed = paths[key]
        # What is needed last is listed first.
        for file in [*reversed(needed), path]:
            order.setdefault(plain(file), os.path.join(tree, file))
    return list(order.items())


def module_data(path):
    """A module as insmod takes it."""
    tool = {".xz": "xz", ".zst": "zstd", ".gz": "gzip"}.get(os.path.splitext(path)[1])
    if tool is None:
        with open(path, "rb") as f:
            return f.read()
    return subprocess.run([tool, "-dc", path], check=True, capture_output=True).stdout
