#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Packages: built in Debian releases that ./run chroot unpacks, then used in clean ones (inside.py); an image for
containers (container.py); RPM's spec file.

    run.py [RELEASE...]      12 and 13 when none is named
"""
import glob
import os
import re
import shutil
import subprocess
import sys

import container

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NEEDED = "python3 iproute2 procps gcc libc6-dev pkgconf dpdk-dev"  # the demo's, and what an application is built with
passed = failed = 0


def check(ok, what, why=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"  {'ok  ' if ok else 'FAIL'} {what}" + ("" if ok or not why else f": {why}"), flush=True)
    return ok


def run(*words):
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def chroot(release, *words):
    """A command in a chroot; its result, with both outputs in one."""
    return subprocess.run([os.path.join(ROOT, "run"), "chroot", release, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def last(done, lines=20):
    return "\n" + "\n".join(done.stdout.splitlines()[-lines:])


def versions():
    """One version in all places."""
    found = {}
    for path, pattern in (("meson.build", r"^project\(.* version: '([^']+)'"), ("debian/changelog", r"^hyperpoll \(([^)]+)\)"),
                          ("packaging/rpm/hyperpoll.spec", r"^Version: +(\S+)$")):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            found[path] = re.search(pattern, file.read(), re.M).group(1)
    check(len(set(found.values())) == 1, "the packages have the version of the project", found)


def rpm():
    """RPM's own parser reads the spec file, for both architectures."""
    for arch, vm in (("x86_64", True), ("aarch64", False)):
        spec = os.path.join(ROOT, "packaging/rpm/hyperpoll.spec")
        parsed = run("rpmspec", "--target", arch, "-P", spec)
        names = run("rpmspec", "--target", arch, "-q", "--qf", "%{name}\n", spec).stdout.split()
        check(parsed.returncode == 0 and not parsed.stderr, f"rpmspec parses the spec file for {arch}", parsed.stderr)
        check(set(names) == {"hyperpoll", "hyperpoll-pmd", "hyperpoll-devel"} | ({"hyperpoll-vm"} if vm else set()),
              f"its packages for {arch}", names)


def build(release):
    """./run deb in a chroot of the release; its packages, or None."""
    done = chroot(release, "./run", "setup", "build")
    if "no source of DPDK" in done.stdout:
        print(f"  skip Debian {release}: no driver headers of its DPDK; DPDK_SDK names a git checkout that has them")
        return None
    if not check(done.returncode == 0, f"Debian {release}: setup", last(done)):
        return None
    done = chroot(release, "unshare", "--net", "./run", "deb") if not needs_tools(release) else None
    if not check(done is not None and done.returncode == 0, f"Debian {release}: ./run deb, without network",
                 last(done) if done else "no build tools"):
        return None
    check("lintian has nothing against them" in done.stdout, f"Debian {release}: lintian-clean", last(done))
    files = [f for f in glob.glob(os.path.join(ROOT, f".cache/chroot-{release}/hyperpoll/build-deb/*.deb"))
             if "-dbgsym_" not in f]
    check(len(files) == 4, f"Debian {release}: four packages", files)
    for file in files:
        check(f"build-deb/{os.path.basename(file)}" in done.stdout, f"./run deb says where {os.path.basename(file)} is")
    return files


def needs_tools(release):
    """Install what ./run deb is built with; whether that failed."""
    return chroot(release, "./run", "setup", "deb").returncode != 0


def dependencies(release, files):
    """The plugin's, by dpkg -I, are the libraries of the ABI in its name."""
    file = next(f for f in files if os.path.basename(f).startswith("librte-hyperpoll_"))
    depends = re.search(r"^ Depends: (.*)$", run("dpkg", "-I", file).stdout, re.M).group(1)
    plugin = re.search(r"dpdk/pmds-([\d.]+)/librte_hyperpoll\.so\.([\d.]+)$", run("dpkg", "-c", file).stdout, re.M)
    if check(plugin and plugin.group(1) == plugin.group(2),
             f"Debian {release}: the plugin lies where its ABI's EAL looks"):
        abi = plugin.group(1).split(".")[0]
        check({f"librte-eal{abi}", f"librte-ethdev{abi}"} <= set(re.findall(r"[\w-]+", depends)) and
              set(re.findall(r"librte-[a-z-]+(\d+)", depends)) == {abi},
              f"Debian {release}: it depends on DPDK's ABI {abi}", depends)


def use(release, files):
    """Installed, used and removed in a chroot that has neither the build nor its tools."""
    clean = f"{release}-clean"
    folder = os.path.join(ROOT, f".cache/chroot-{clean}")
    done = chroot(clean, "sh", "-ec", f"apt-get -q update; apt-get -q -y --no-install-recommends install {NEEDED}")
    if not check(done.returncode == 0, f"Debian {release}: a clean chroot with testpmd", last(done)):
        return
    shutil.rmtree(os.path.join(folder, "packages"), ignore_errors=True)
    os.mkdir(os.path.join(folder, "packages"))
    for file in files:
        shutil.copy(file, os.path.join(folder, "packages"))
    done = chroot(clean, "python3", "-B", "test/packages/inside.py", "/packages")
    print(done.stdout, end="")
    for ok, what in re.findall(r"^  (ok  |FAIL) (.*)$", done.stdout, re.M):
        global passed, failed
        passed, failed = passed + (ok != "FAIL"), failed + (ok == "FAIL")
    check(done.returncode == 0, f"Debian {release}: all of that ran to its end")


def main(releases):
    versions()
    rpm()
    for release in releases or ("12", "13"):
        print(f"Debian {release}", flush=True)
        files = build(release)
        if files:
            dependencies(release, files)
            use(release, files)
    print("containers", flush=True)
    container.check_image(check, os.path.join(ROOT, ".cache/chroot-12"))
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
