# Has one base image in a pool, spoken with line by line. POSIX sh; the lines before this set
#   pool  name  the pool, and the volume in it
#   size        its bytes
#   peek        so many of them are told, once they are there
#   lock        a folder that everyone who may speak with libvirt can open
#
# Whoever fetches holds the lock, shared with those who fetch something else; the kernel gives it
# back when the last process that might still write is gone. So who gets it for himself alone knows
# that nobody fetches here, and that a volume without its marker is a dead one's. Volumes are made
# under the shared lock, and another's is taken away under the other only: no living one's is.
v() { virsh -q -c qemu:///system "$@"; }
at() { v vol-path --pool="$pool" --vol="$1" 2>/dev/null; }
say() { printf '%s\n' "$*" >&5 2>/dev/null || exit 1; }
line() { printf '%s' "$*" | tr '\n' ' '; }
ready() { at "$name.ok" >/dev/null && path=$(at "$name") && say "ready $path"; }
remove() {
    v vol-delete --pool="$pool" --vol="$name.ok"
    v vol-delete --pool="$pool" --vol="$name"
} >/dev/null 2>&1
# Tells the other side from time to time that a process is at work, and ends it if nobody is there.
# Killed, it leaves a sleep behind, on whose end nobody is to wait.
guard() {
    while sleep 2 5>&- && kill -0 "$1"; do
        printf 'beat %s\n' "$(sed -n 's/^wchar: //p' "/proc/$1/io")" >&5 || break
    done
    kill "$1"
} 2>/dev/null 9<&-
hear() { timeout 60 sh -c 'IFS= read -r said && printf "%s\n" "$said"' 9<&-; }
upload() { v vol-upload --pool="$pool" --vol="$name" --file=/dev/stdin --length="$size"; }
# The URL goes by stdin: no list of processes shows it.
get() {
    printf 'url = "%s"\n' "$1" |
        curl -fsSLg --proto =http,https --proto-redir =http,https --connect-timeout 20 \
            --speed-limit 1 --speed-time 60 -K - &
    job=$!
    guard "$job" 4>&- >/dev/null &
    guard=$!
    wait "$job"
    printf 'curl %s\n' "$?" >&4
    kill "$guard"
}
fetch() {
    told=$( { get "$1" 2>&4 | { upload >/dev/null 2>&4; printf 'upload %s\n' "$?" >&4; }; } 4>&1)
    printf '%s\n' "$told" | while IFS= read -r each; do say "note $each"; done
}
# The processor's own instructions for it are a few times quicker, and sha256sum may not know them.
digest() {
    if command -v openssl >/dev/null; then openssl dgst -sha256 -r; else sha256sum; fi
}
sum() {
    # Whoever may read the file itself need not have it read out.
    if [ -r "$path" ]; then
        found=$(digest <"$path")
    else
        found=$(v vol-download --pool="$pool" --vol="$name" --file=/dev/stdout | digest)
    fi
    say "digest ${found%% *}"
}
# Those who may use libvirt may read all that it has anyhow; nobody else may.
make() {
    group=$(getent group libvirt | cut -d: -f3)
    v vol-create --pool="$pool" --file=/dev/stdin <<END
<volume><name>$name</name><capacity>$size</capacity><allocation>0</allocation>
<target><format type='raw'/>${group:+<permissions><mode>0640</mode><group>$group</group></permissions>}
</target></volume>
END
}
verify() {
    sum &
    job=$!
    guard "$job" >/dev/null &
    guard=$!
    wait "$job"
    kill "$guard" 2>/dev/null
    say "head $(v vol-download --pool="$pool" --vol="$name" --file=/dev/stdout --length="$peek" |
        od -An -v -tx1 | tr -d ' \n')"
}

exec 5>&1 9<"$lock" || exit 1
trap '' PIPE
ready && exit 0
if at "$name" >/dev/null || at "$name.ok" >/dev/null; then
    flock -n -x 9 || { say busy; exit 0; }
    ready && exit 0
    remove
    flock -u 9
fi
flock -w 5 -s 9 || { say busy; exit 0; }
if ! said=$(make 2>&1); then
    if at "$name" >/dev/null; then say busy; else say "failed $(line "$said")"; fi
    exit 0
fi
mine=yes
trap '[ -z "$mine" ] || remove' EXIT
trap 'exit 1' HUP INT TERM
path=$(at "$name")
# To lengthen a file costs less than to fill its holes.
if [ -f "$path" ] && [ -w "$path" ]; then truncate -cs 0 "$path"; fi
say "begin $path"
while verb=$(hear); do
    case $verb in
    beat) ;;
    'url '*) fetch "${verb#url }"; say fetched ;;
    # What libvirt says of a pool is as old as its last refresh; of a volume it is of now.
    room)
        held=$(v vol-dumpxml --pool="$pool" --vol="$name" |
            sed -n "s:.*<allocation unit='bytes'>\([0-9]*\)<.*:\1:p")
        say "room $(df -B1 --output=avail "$path" | tail -n 1 | tr -d ' ') $held"
        ;;
    verify) verify ;;
    publish)
        if said=$(v vol-create-as --pool="$pool" --name="$name.ok" --capacity=0 --allocation=0 \
            --format=raw 2>&1); then
            mine=
            say "ready $path"
            exit 0
        fi
        say "failed $(line "$said")"
        exit 0
        ;;
    drop)
        remove
        mine=
        say gone
        exit 0
        ;;
    esac
done
