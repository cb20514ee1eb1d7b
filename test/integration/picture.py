#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Screenshots of hvsim top and vmbusctl top while frames go, as doc/hvsim-top.svg and doc/vmbusctl-top.svg.

Usage: picture.py [FOLDER]    another folder than doc/; as root

test_top.py compares what stands in the tree with what the programs show.
"""
import os
import re
import sys
from contextlib import ExitStack, contextmanager
from html import escape, unescape

from harness import BUILD, HVSIM, ROOT, Host, Testpmd, wait_until
from screens import Screen

INSIDE, PREFIX = "HYPERPOLL_PICTURE_INSIDE", "lab"
ROWS, COLUMNS = 22, 92
ADVANCE, LINE, MARGIN = 8, 18, 12  # pixels
PAPER, INK = "#1d2021", "#d5c4a1"
COLOURS = {"green": "#b8bb26", "brown": "#fabd2f", "red": "#fb4934", "cyan": "#83a598"}


def runs(cells, columns):
    """(first column, text, colour, bold, reverse) of cells of one look that stand together."""
    found = []
    for column in range(columns):
        cell = cells[column]
        look = (COLOURS.get(cell.fg, INK), cell.bold, cell.reverse)
        if found and found[-1][2:] == look:
            found[-1] = (*found[-1][:1], found[-1][1] + cell.data, *look)
        else:
            found.append((column, cell.data, *look))
    return found


def svg(screen, title):
    """What stands on a pyte screen."""
    width, height = screen.columns * ADVANCE + 2 * MARGIN, screen.lines * LINE + 2 * MARGIN
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"',
             '\tfont-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13">',
             f"<title>{escape(title)}</title>",
             f'<rect width="{width}" height="{height}" rx="6" fill="{PAPER}"/>']
    for row in range(screen.lines):
        for column, text, colour, bold, reverse in runs(screen.buffer[row], screen.columns):
            x, y = MARGIN + column * ADVANCE, MARGIN + row * LINE
            if reverse:
                lines.append(f'<rect x="{x}" y="{y}" width="{len(text) * ADVANCE}" height="{LINE}" fill="{colour}"/>')
                colour = PAPER
            weight = ' font-weight="bold"' if bold else ""
            # No more than one blank at a time, which every reader of SVG keeps.
            for words in re.finditer(r"\S+(?: \S+)*", text):
                lines.append(f'<text x="{x + words.start() * ADVANCE}" y="{y + 13}" textLength="{len(words[0]) * ADVANCE}" '
                             f'fill="{colour}"{weight}>{escape(words[0])}</text>')
    return "\n".join([*lines, "</svg>", ""])


def text_of(picture):
    """The lines of text in an SVG of svg()."""
    rows = {}
    for x, y, text in re.findall(r'<text x="(\d+)" y="(\d+)"[^>]*>([^<]*)</text>', picture):
        rows[int(y)] = rows.get(int(y), "").ljust((int(x) - MARGIN) // ADVANCE) + unescape(text)
    return [rows[y] for y in sorted(rows)]


@contextmanager
def scene():
    """A host with adapters that have something to tell, and testpmd on two of them."""
    with ExitStack() as stack:
        host = Host("/run/hyperpoll", ("channels=2", "gen:size=60-1514,rate=150K,flows=64"), ("channels=2", "sink"), "echo")
        stack.callback(host.close)
        host.ready()
        pmd = Testpmd([host.device(0), host.device(1)], queues=2, telemetry=True, eal=("--file-prefix", PREFIX))
        stack.callback(pmd.close)
        pmd.ready().start()
        wait_until(lambda: host.port(1)["tx_frames"], 30, "frames go")
        yield host


def flowing(lines):
    """Does NIC 1 send what NIC 0 receives, but for the few that are refused?"""
    rows = {words[0].lstrip(">"): words for words in map(str.split, lines[:8]) if len(words) == 9 and words[1] == "running"}
    if not {"0", "1"} <= set(rows) or not rows["0"][4].endswith("k") or not rows["1"][6].endswith("k"):
        return False
    return 0.9 < float(rows["1"][6][:-1]) / float(rows["0"][4][:-1]) < 1.1


def take(host, name, argv):
    """The view's screen once frames have gone and a link has flapped before its eyes."""
    top = Screen(name, argv, rows=ROWS, columns=COLUMNS)
    try:
        top.shows(flowing)
        top.send("j")
        host.set("refuse_pct", 2, 1)
        host.request("link", 1, up=False)
        top.shows(lambda lines: any("NIC 1: link down" in line for line in lines))
        host.request("link", 1, up=True)
        top.shows(lambda lines: any("NIC 1: link up" in line for line in lines))
        top.shows(flowing)
        with top.changed:
            return svg(top.screen, f"{name} while frames go")
    finally:
        host.set("refuse_pct", 0, 1)
        top.close()


def main():
    folder = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(ROOT, "doc")
    if INSIDE not in os.environ:
        # A /run/hyperpoll that is nobody else's.
        os.execvp("unshare", ["unshare", "--mount", "sh", "-ec", "mkdir -p /run/hyperpoll; mount -t tmpfs -o mode=755 none "
                              "/run/hyperpoll; exec env " + INSIDE + '=1 python3 -B "$@"', "sh", __file__, folder])
    with scene() as host:
        for name, argv in (("hvsim top", [HVSIM, "top", f"{host.dir}/control.sock"]),
                           ("vmbusctl top", [os.path.join(BUILD, "app/vmbusctl/vmbusctl"), "top", "--file-prefix", PREFIX])):
            picture = take(host, name, argv)
            with open(os.path.join(folder, name.replace(" ", "-") + ".svg"), "w", encoding="utf-8") as file:
                file.write(picture)


if __name__ == "__main__":
    sys.exit(main())
