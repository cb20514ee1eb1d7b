# SPDX-License-Identifier: BSD-3-Clause
"""Debian kernels for the guest: the installed one, or one of another release, unpacked and not installed."""
import collections
import glob
import os
import re
import subprocess

HERE = os.path.dirname(os.path.realpath(__file__))
CACHE = os.path.join(os.path.dirname(os.path.dirname(HERE)), ".cache", "kernels")

# root: where lib/modules/<version> is.
Kernel = collections.namedtuple("Kernel", "version image root")


def numbers(version):
    return [int(n) for n in re.findall(r"\d+", version)]


def installed():
    """Newest installed kernel."""
    images = glob.glob("/boot/vmlinuz-*")
    if not images:
        raise FileNotFoundError("no kernel in /boot: apt-get install linux-image-amd64")
    image = max(images, key=lambda p: numbers(os.path.basename(p)))
    return Kernel(image[len("/boot/vmlinuz-"):], image, "/")


class Sources:
    """apt with the kernels of this release, its backports and testing; the machine's own stays as it is."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        entries = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(CODENAME)"],
            capture_output=True, text=True, check=True).stdout.split("\n")
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

    def run(self, tool, *args, check=True, cwd=None):
        options = {"Dir::Etc::sourcelist": "sources.list", "Dir::Etc::sourceparts": "-",
                   "Dir::State::lists": "lists", "Dir::State::status": "status", "Dir::Cache": "cache"}
        argv = [tool]
        for key, value in options.items():
            argv += ["-o", "%s=%s" % (key, value if value == "-" else os.path.join(self.folder, value))]
        argv += ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
        done = subprocess.run(argv + list(args), capture_output=True, text=True, check=False, cwd=cwd)
        if check and done.returncode != 0:
            raise RuntimeError("%s %s: %s" % (tool, " ".join(args), done.stderr.strip()))
        return done.stdout

    def depends(self, package):
        text = self.run("apt-cache", "show", package, check=False)
        return [re.split(r"[ (|]", d.strip())[0] for line in re.findall(r"^Depends: (.*)$", text, re.M)
                for d in line.split(",")]

    def images(self):
        """Kernel packages on offer, the newest last."""
        return sorted({d for d in self.depends("linux-image-amd64") if re.match(r"linux-image-\d.*-amd64$", d)},
                      key=numbers)


def unpacked(wanted):
    """The kernel with version prefix `wanted`, or the newest, of a release that apt can reach."""
    folder = os.path.join(CACHE, "apt")
    sources = Sources(folder)
    packages = sources.images()
    if wanted != "newest":
        packages = [p for p in packages if p.startswith("linux-image-%s" % wanted)]
    if not packages:
        raise FileNotFoundError("no kernel %s in the package sources; there are: %s"
                                % (wanted, " ".join(sources.images()) or "none"))
    package = packages[-1]
    version = package[len("linux-image-"):]
    root = os.path.join(CACHE, version)
    if not os.path.exists(os.path.join(root, "complete")):
        os.makedirs(root, exist_ok=True)
        # Newer releases keep the modules in a package of their own.
        parts = [package] + [d for d in sources.depends(package) if d.endswith(version)]
        for part in parts:
            sources.run("apt-get", "-q", "download", part, cwd=folder)
            deb, = glob.glob(os.path.join(folder, part + "_*.deb"))
            subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
            os.unlink(deb)
        for top in glob.glob(os.path.join(root, "usr", "lib", "modules")):
            os.makedirs(os.path.join(root, "lib"), exist_ok=True)
            os.rename(top, os.path.join(root, "lib", "modules"))
        subprocess.run(["depmod", "-b", root, version], check=True)
        with open(os.path.join(root, "complete"), "w", encoding="ascii"):
            pass
    image, = glob.glob(os.path.join(root, "boot", "vmlinuz-*")) or [os.path.join(root, "lib/modules", version, "vmlinuz")]
    return Kernel(version, image, root)


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
