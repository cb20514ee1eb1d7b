#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Called by "meson install": in folder $1 the plugin gets version $2 (23.0) in its name, and links.
set -e
cd "${DESTDIR-}$(case $1 in /*) ;; *) echo "$MESON_INSTALL_PREFIX/" ;; esac)$1"
[ -L librte_hyperpoll.so ] || mv -f librte_hyperpoll.so "librte_hyperpoll.so.$2"
ln -sf "librte_hyperpoll.so.$2" "librte_hyperpoll.so.${2%%.*}"
ln -sf "librte_hyperpoll.so.${2%%.*}" librte_hyperpoll.so
