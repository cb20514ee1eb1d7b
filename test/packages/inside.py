# SPDX-License-Identifier: BSD-3-Clause
"""In a chroot of Debian: install the packages of a folder, use, replace and remove them. Called by run.py."""
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NAMES = ("librte-hyperpoll", "librte-hyperpoll-dev", "hyperpoll-tools", "hyperpoll-vm")
# What dpkg, apt and ldconfig keep for themselves.
THEIRS = re.compile(r"/(var/(lib/(dpkg|apt)|cache|log)|etc/ld\.so\.cache|tmp|proc|sys|dev|run|"
                    r"hyperpoll|packages|dpdk-sdk)(/|$)")
failures = 0


def check(ok, what, why=""):
    global failures
    failures += not ok
    print(f"  {'ok  ' if ok else 'FAIL'} {what}" + ("" if ok or not why else f": {why}"), flush=True)
    return ok


def run(*words, **kwargs):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **kwargs)


def apt(*words):
    done = run("apt-get", "-q", "-y", "--no-install-recommends", *words,
               env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    check(done.returncode == 0, f"apt-get {words[0]}", "\n" + done.stdout[-3000:])
    return done.stdout


def every_file():
    """All paths outside of what the package tools keep."""
    found = set()
    for folder, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if not THEIRS.match(os.path.join(folder, f))]
        found.update(os.path.join(folder, name) for name in files + folders)
    return {path for path in found if not THEIRS.match(path) and "/__pycache__" not in path}


def newer(package):
    """The same package with a higher version, as one that replaces it."""
    with tempfile.TemporaryDirectory() as folder:
        run("dpkg-deb", "-R", package, f"{folder}/tree")
        with open(f"{folder}/tree/DEBIAN/control", encoding="utf-8") as file:
            control = file.read()
        version = re.search(r"^Version: (.*)$", control, re.M).group(1)
        # Its own, and that of those which it depends on by it.
        control = control.replace(f"Version: {version}\n", f"Version: {version}+newer\n")
        control = control.replace(f"(= {version})", f"(= {version}+newer)")
        with open(f"{folder}/tree/DEBIAN/control", "w", encoding="utf-8") as file:
            file.write(control)
        out = package.replace(".deb", ".newer")
        run("dpkg-deb", "--root-owner-group", "-b", f"{folder}/tree", out + ".deb")
        return out + ".deb"


def demo(what):
    """./run demo with what the packages have installed; the plugin is EAL's to find."""
    done = run("python3", "-B", os.path.join(ROOT, "test/demo.py"), "--seconds", "2",
               env={**os.environ, "HYPERPOLL_INSTALLED": "1"})
    guest = re.search(r"^guest: .*$", done.stdout, re.M)
    check("verdict: every generated frame came back intact" in done.stdout and done.returncode == 0,
          f"the demo {what}", "\n" + done.stdout[-3000:])
    check(guest and not re.search(r" -d |hyperpoll\.so|/build/", guest.group()),
          "testpmd found the plugin by itself", guest)


def programs():
    for program, manual in (("hvsim", "man1/hvsim.1"), ("hvsim-vm", "man1/hvsim-vm.1"), ("vmbusctl", "man8/vmbusctl.8")):
        done = run(program, "--version")
        check(done.returncode == 0 and re.search(r"\d+\.\d+", done.stdout), f"{program} runs", done.stdout)
        package = run("dpkg", "-S", run("sh", "-c", f"command -v {program}").stdout.strip()).stdout.split(":")[0]
        owner = run("dpkg", "-S", f"/usr/share/man/{manual}.gz").stdout.split(":")[0]
        check(package and package == owner, f"the man page of {program} is in the program's package",
              f"{package}, {owner}")
        check(os.path.exists(f"/usr/share/bash-completion/completions/{program}"), f"{program} has a completion")
    for name in NAMES:
        check(os.path.exists(f"/usr/share/doc/{name}/copyright"), f"{name} has its licence")
    documents, installed = ({name for name in os.listdir(folder) if name.endswith(".md")}
                            for folder in (f"{ROOT}/doc", "/usr/share/doc/hyperpoll/doc"))
    check(documents == installed, "the documents are installed", documents ^ installed)


def example():
    """The installed example, built with what the -dev package says."""
    done = run("sh", "-ec", "cc -o /tmp/forward /usr/share/doc/librte-hyperpoll-dev/examples/forward.c "
               "$(pkg-config --cflags --libs hyperpoll)")
    if check(done.returncode == 0, "the installed example is built with pkg-config hyperpoll", done.stdout):
        libraries = run("ldd", "/tmp/forward").stdout
        check("librte_eal" in libraries and "librte_hyperpoll" not in libraries,
              "it has the driver in it, and DPDK's shared libraries")
    run("rm", "-f", "/tmp/forward")


def main(folder):
    packages = sorted(glob.glob(f"{folder}/*.deb"))
    said = apt("install", *packages)
    check("HYPERPOLL_YIELD=1" in said and 'bus "vmbus"' in said,
          "installing says whose place it takes, and how not to", said[-2000:])
    programs()
    demo("of the packages")
    example()
    apt("purge", *NAMES)
    before = every_file()
    # Everything once more, now that what they depend on stays.
    apt("install", *packages)
    listed = {line for name in NAMES for line in run("dpkg", "-L", name).stdout.split("\n") if "hyperpoll" in line}
    said = apt("install", *map(newer, packages))
    check("HYPERPOLL_YIELD" not in said, "a newer version says nothing again")
    check("+newer" in run("dpkg-query", "-W", *NAMES).stdout, "the newer version is installed")
    demo("of the newer version")
    apt("remove", *NAMES)
    # apt does not know what has nothing left to purge.
    check(run("dpkg", "--purge", *NAMES).returncode == 0, "dpkg --purge after that")
    check(run("dpkg-query", "-W", *NAMES, stdin=subprocess.DEVNULL).returncode != 0, "dpkg knows none of them any more")
    left = sorted(path for path in listed if os.path.lexists(path))
    check(not left, "nothing of them is left", left)
    after = every_file()
    check(before == after, "and nothing else has changed", sorted(before ^ after)[:20])
    return failures != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
