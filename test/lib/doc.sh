# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What ./run doc does: documents and man pages as HTML, by pandoc. Sourced by run.

# One page: document $1 of pandoc's format $2 to $3.
doc_page() {
	mkdir -p "$(dirname "$3")"
	pandoc -f "$2" -t html5 -s --lua-filter doc/html/links.lua --metadata pagetitle="$1" \
		--css "$(realpath -m --relative-to "$(dirname "$3")" "$doc_dir/style.css")" -o "$3" "$1"
}

# All of it, in folder $1.
doc_build() {
	local doc_dir=$1 file n=0
	mkdir -p "$doc_dir"
	cp doc/html/style.css "$doc_dir/"
	# shellcheck disable=SC2044 # names without spaces
	for file in ./*.md $(find doc test app -name '*.md' ! -path 'doc/man/*'); do
		doc_page "$file" gfm "$doc_dir/${file%.md}.html"
		n=$((n + 1))
	done
	# shellcheck disable=SC2044
	for file in doc/man/*.md; do
		doc_page "$file" markdown-smart-tex_math_dollars "$doc_dir/${file%.md}.html"
		n=$((n + 1))
	done
	# shellcheck disable=SC2044
	for file in $(find doc -name '*.svg' -o -name '*.png'); do
		install -D -m 644 "$file" "$doc_dir/$file"
	done
	say "$n pages; begin with $doc_dir/README.html"
}
