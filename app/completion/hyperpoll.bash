# SPDX-License-Identifier: BSD-3-Clause
# Completion of vmbusctl, hvsim and hvsim-vm for bash. Options, keys and commands are read from the
# programs' own help, so that they are those of the version installed.

# Words that begin a line of a section of a help text: "Keys of --nic:" to the next empty line.
_hyperpoll_section()
{
	"$1" --help 2>/dev/null | sed -n "/^$2:/,/^\$/s/^  \([a-z_-]\+[=:]\?\).*/\1/p"
}

_hyperpoll_options()
{
	"$1" --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*' | sort -u
}

# What an option takes, as its help names it: FILE, DIR, busy|adaptive; nothing.
_hyperpoll_value()
{
	"$1" --help 2>/dev/null | sed -n "s/^ *$2 \([^ ]\+\) .*/\1/p" | head -n 1
}

_hyperpoll_files()
{
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# The words of the line up to the cursor: COMP_WORDS has = and : for words of their own.
_hyperpoll_split()
{
	local line=${COMP_LINE:0:COMP_POINT}

	read -ra split <<<"$line"
	case $line in
	*[[:space:]]) split+=("") ;;
	esac
}

# Names of devices: GUIDs, interfaces and uio devices; of network adapters only, or of all.
_vmbusctl_devices()
{
	local bus=${HYPERPOLL_SYSFS_ROOT:-/sys}/bus/vmbus/devices device

	for device in "$bus"/*; do
		[ "$1" = nics ] && ! grep -qi f8615163-df3e-46c5-913f-f2d2f965ed0e "$device/class_id" \
			2>/dev/null && continue
		[ -e "$device" ] || continue
		basename "$device"
		ls "$device/net" "$device/uio" 2>/dev/null | grep -v ':$' | grep .
	done
}

_vmbusctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command="" word
	local commands="list status bind unbind doctor report top"

	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case " $commands " in
		*" $word "*) command=$word ;;
		esac
	done
	case $prev in
	-u | --user) COMPREPLY=($(compgen -u -- "$cur")); return ;;
	--vf) COMPREPLY=($(compgen -W "auto keep vfio-pci" -- "$cur")); return ;;
	esac
	case $cur in
	-*)
		case $command in
		bind) word="--dry-run --force --persist --user --vf --json" ;;
		unbind) word="--dry-run --force --persist --json" ;;
		report) word="--dry-run --json" ;;
		top) word="--interval --once --json --file-prefix --help" ;;
		"") word=$(_hyperpoll_options "${COMP_WORDS[0]}") ;;
		*) word=--json ;;
		esac
		COMPREPLY=($(compgen -W "$word" -- "$cur"))
		return
		;;
	esac
	case $command in
	"") COMPREPLY=($(compgen -W "$commands" -- "$cur")) ;;
	bind | unbind) COMPREPLY=($(compgen -W "$(_vmbusctl_devices nics)" -- "$cur")) ;;
	status) COMPREPLY=($(compgen -W "$(_vmbusctl_devices all)" -- "$cur")) ;;
	report) _hyperpoll_files "$cur" ;;
	esac
}

# What may follow a command of ctl, by its help: NIC, up, down, name=
_hvsim_ctl_words()
{
	"$1" --help 2>/dev/null | sed -n "/^Commands of ctl:/,/^\$/s/^$2 \(.*\)/\1/p" |
		sed 's/  .*//' | tr -d '[]' | tr ' |' '\n\n' | sed 's/=[A-Z].*/=/'
}

# Numbers of the NICs of the host that is meant.
_hvsim_nics()
{
	local nics

	nics=$(timeout 2 "$1" ctl --json ${2:+"$2"} stats 2>/dev/null | grep -o '"guid"' | grep -c .)
	[ "$nics" -gt 0 ] && seq 0 $((nics - 1))
}

# Knobs, one "name=values" a line: two may share a line of the list.
_hvsim_knobs()
{
	timeout 2 "$1" ctl ${2:+"$2"} knobs 2>/dev/null | sed 's/  .*//; s/^\([^ ]*\) [a-z].*/\1/; s/, /\n/g'
}

# hvsim ctl [--json] [SOCKET] COMMAND [NIC] [KEY=VALUE]...
_hvsim_ctl()
{
	local program=$1 socket="" command cur commands word words=() known nics=""

	for word in "${split[@]:2}"; do
		case $word in
		-*) ;;
		*) words+=("$word") ;;
		esac
	done
	cur=${split[-1]}
	case $cur in
	-*) COMPREPLY=($(compgen -W "--json --help" -- "$cur")); return ;;
	esac
	case ${words[0]} in
	*[/.]*)
		if [ "${#words[@]}" -gt 1 ]; then
			socket=${words[0]}
			words=("${words[@]:1}")
		fi
		;;
	esac
	if [ "${#words[@]}" = 1 ]; then
		commands=$("$program" --help 2>/dev/null |
			sed -n '/^Commands of ctl:/,/^$/s/^\([a-z]\+\) .*/\1/p')
		COMPREPLY=($(compgen -W "$commands" -- "$cur"))
		[ -n "$socket" ] || COMPREPLY+=($(compgen -f -X '!*control.sock' -- "$cur")
			$(compgen -d -S / -- "$cur"))
		return
	fi
	command=${words[0]}
	known=$(_hvsim_ctl_words "$program" "$command")
	case $command:$cur in
	set:name=*) known=$(_hvsim_knobs "$program" "$socket" | sed 's/=.*//') ;;
	set:value=*)
		known=""
		for word in "${words[@]}"; do
			case $word in
			name=*) known=$(_hvsim_knobs "$program" "$socket" |
				sed -n "s/^${word#name=}=//p" | tr '|' '\n' | grep '^[a-z0-9_]*$') ;;
			esac
		done
		;;
	trace:file=*) _hyperpoll_files "${cur#file=}"; return ;;
	*=*) return ;;
	*)
		case $known in
		*=*) compopt -o nospace 2>/dev/null ;;
		esac
		case $known in
		*NIC*)
			[ "${#words[@]}" != 2 ] || nics=$(_hvsim_nics "$program" "$socket")
			known=${known/NIC/$nics}
			;;
		esac
		;;
	esac
	COMPREPLY=($(compgen -W "$known" -- "${cur##*=}"))
}

# Keys of a kind of port, by its help.
_hvsim_port_keys()
{
	"$1" --help 2>/dev/null | sed -n "/^Ports:/,/^\$/{/^  $2/,/^  [a-z]/p}" | sed "1!{/^  [a-z]/d}" |
		grep -o '[a-z]\+=' | sort -u
}

# A value of --nic: keys behind each comma; the port's own behind "port=KIND:". What readline takes
# for the current word begins behind the last = or :.
_hvsim_nic()
{
	local value=${split[-1]} cur=${split[-1]##*[=:]} inner before="" port words=""

	compopt -o nospace 2>/dev/null
	inner=${value##*,}
	port=${value##*port=}
	case $inner in
	port=*:* | vf-port=*:*) inner=${inner#*:} ;;
	esac
	case $cur in
	*,*)
		before=${cur%,*},
		cur=${cur##*,}
		;;
	esac
	case $inner in
	port=* | vf-port=*) words=$(_hyperpoll_section "$1" Ports) ;;
	profile=*) words="ws2016 ws2019 ws2022 openhcl" ;;
	spoof=* | spread=* | lenient=* | latency=* | vnet=*) words="on off" ;;
	trace=* | capture=* | in=* | out=*)
		_hyperpoll_files "$cur"
		return
		;;
	*=*) return ;;
	*)
		case $value in
		*port=*:*) words=$(_hvsim_port_keys "$1" "${port%%:*}") ;;
		esac
		case $value in
		port=* | *,port=*) ;;
		*port=*:*) words="$words port=" ;;
		*) words=$(_hyperpoll_section "$1" 'Keys of --nic') ;;
		esac
		;;
	esac
	COMPREPLY=($(compgen -P "$before" -W "$words" -- "$cur"))
}

_hvsim()
{
	local split value words

	_hyperpoll_split
	local cur=${split[-1]} at=$((${#split[@]} - 1))
	words=$("$1" --help 2>/dev/null | sed -n 's/^.* hvsim[a-z-]* \(ctl\|top\) .*/\1/p')

	if [ "${split[1]}" = ctl ] && [ "$at" -gt 1 ]; then
		_hvsim_ctl "$1"
		return
	fi
	if [ "${split[1]}" = top ] && [ "$at" -gt 1 ]; then
		COMPREPLY=($(compgen -W "--interval --once --json --help" -- "$cur")
			$(compgen -f -X '!*control.sock' -- "$cur") $(compgen -d -S / -- "$cur"))
		return
	fi
	case ${split[at-1]} in
	--nic) _hvsim_nic "$1"; return ;;
	--*)
		value=$(_hyperpoll_value "$1" "${split[at-1]}")
		case $value in
		FILE | PATH | BZIMAGE) _hyperpoll_files "$cur"; return ;;
		DIR) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return ;;
		NAME*) COMPREPLY=($(compgen -u -- "$cur")); return ;;
		*"|"*) COMPREPLY=($(compgen -W "${value//|/ }" -- "$cur")); return ;;
		?*) return ;;
		esac
		;;
	esac
	case $cur in
	-*) COMPREPLY=($(compgen -W "$(_hyperpoll_options "$1")" -- "$cur")) ;;
	*) [ "$at" != 1 ] || COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
	esac
}

complete -F _vmbusctl vmbusctl
complete -F _hvsim hvsim hvsim-vm
