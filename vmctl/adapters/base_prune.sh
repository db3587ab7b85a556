# Takes base images away that nobody uses. POSIX sh; the lines before this set
#   pool   the pool
#   lock   as for fetching: held here, nobody makes or takes away what we take away
#   whole  names of base images that are ready, a line each
#   half   names of those without a marker, a line each: theirs is a fetcher that died, or lives
v() { virsh -q -c qemu:///system "$@"; }
at() { v vol-path --pool="$pool" --vol="$1" >/dev/null 2>&1; }
# The marker goes first: what has one is whole.
remove() {
    if at "$1.ok"; then v vol-delete --pool="$pool" --vol="$1.ok" >/dev/null || return 1; fi
    if at "$1"; then v vol-delete --pool="$pool" --vol="$1" >/dev/null || return 1; fi
    printf 'gone %s\n' "$1"
}
exec 9<"$lock" || exit 1
alone=yes
flock -n -x 9 || { alone= && flock -w 10 -s 9; } || exit 75
printf '%s\n' "$whole" | while IFS= read -r name; do [ -z "$name" ] || remove "$name"; done
[ -n "$alone" ] || exit 0
printf '%s\n' "$half" | while IFS= read -r name; do
    [ -z "$name" ] || at "$name.ok" || remove "$name"
done
