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
	report) COMPREPLY=($(compgen -f -- "$cur")) ;;
	esac
}

# hvsim ctl [--json] [SOCKET] COMMAND ...
_hvsim_ctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} at=2 commands

	[ "${COMP_WORDS[at]}" != --json ] || [ "$COMP_CWORD" = "$at" ] || at=$((at + 1))
	commands=$("$1" --help 2>/dev/null | sed -n '/^Commands of ctl:/,/^$/s/^\([a-z]\+\) .*/\1/p')
	if [ "$COMP_CWORD" = "$at" ]; then
		COMPREPLY=($(compgen -W "$commands $([ "$at" = 3 ] || echo --json)" -- "$cur")
			$(compgen -f -X '!*control.sock' -- "$cur") $(compgen -d -S / -- "$cur"))
	elif [ "$COMP_CWORD" = $((at + 1)) ] && ! grep -qwF -- "${COMP_WORDS[at]}" <<<"$commands"; then
		COMPREPLY=($(compgen -W "$commands" -- "$cur"))
	fi
}

# A value of --nic: keys behind each comma; ports behind "port=". bash takes "=" for a word.
_hvsim_nic()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} before="" words

	if [ "$cur" = "=" ]; then
		cur=""
		prev="="
		words=${COMP_WORDS[COMP_CWORD-1]}
	else
		words=${COMP_WORDS[COMP_CWORD-2]}
	fi
	if [ "$prev" = "=" ]; then
		case ${words##*,} in
		port | vf-port) COMPREPLY=($(compgen -W "$(_hyperpoll_section "$1" Ports)" -- "$cur")); return ;;
		profile) COMPREPLY=($(compgen -W "ws2016 ws2019 ws2022 openhcl" -- "$cur")); return ;;
		esac
		case $cur in
		*,*) ;;
		*) return ;;
		esac
	fi
	case $cur in
	*,*)
		before=${cur%,*},
		cur=${cur##*,}
		;;
	esac
	COMPREPLY=($(compgen -P "$before" -W "$(_hyperpoll_section "$1" 'Keys of --nic')" -- "$cur"))
}

_hvsim()
{
	local cur=${COMP_WORDS[COMP_CWORD]} i

	if [ "${COMP_WORDS[1]}" = ctl ] && [ "$COMP_CWORD" -gt 1 ]; then
		_hvsim_ctl "$1"
		return
	fi
	if [ "${COMP_WORDS[1]}" = top ] && [ "$COMP_CWORD" -gt 1 ]; then
		COMPREPLY=($(compgen -W "--interval --once --json --help" -- "$cur")
			$(compgen -f -X '!*control.sock' -- "$cur") $(compgen -d -S / -- "$cur"))
		return
	fi
	compopt -o nospace 2>/dev/null
	# Is this still the value of a --nic?
	for ((i = COMP_CWORD - 1; i > 0; i--)); do
		case ${COMP_WORDS[i]} in
		--nic)
			_hvsim_nic "$1"
			return
			;;
		--*) break ;;
		esac
		# Words of one value have a "=" on one side.
		[ "${COMP_WORDS[i]}" = "=" ] || [ "${COMP_WORDS[i+1]}" = "=" ] || break
	done
	compopt +o nospace 2>/dev/null
	case ${COMP_WORDS[COMP_CWORD-1]} in
	--dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	--user) COMPREPLY=($(compgen -u -- "$cur")); return ;;
	--scenario) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	--poll) COMPREPLY=($(compgen -W "busy adaptive" -- "$cur")); return ;;
	esac
	case $cur in
	-*) COMPREPLY=($(compgen -W "$(_hyperpoll_options "$1")" -- "$cur")) ;;
	*) COMPREPLY=($(compgen -W "$([ "$COMP_CWORD" = 1 ] && echo ctl top)" -- "$cur")) ;;
	esac
}

complete -F _vmbusctl vmbusctl
complete -F _hvsim hvsim hvsim-vm
