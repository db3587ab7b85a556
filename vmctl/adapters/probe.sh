# One look at a host. POSIX sh and what every Linux has; the lines before this set
#   n      a random word that begins every line of the form `n SECTION [KEY]`: nothing a guest or
#          a file says can open a section
#   depth  quick | full
#   uri    libvirt's, as seen on the host
#   ask    the first virsh commands
#   limit  seconds that libvirt has for an answer
# Every process counts here, for forty hosts are asked at once: what a builtin can do, it does.
LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH
nl='
'
out=
say() { out="$out$nl$n $1$nl"; }
tell() { out="$out$1$nl"; }

say "begin $depth"

say tools
for tool in curl flock timeout iptables ebtables nft ip swtpm dnsmasq qemu-img virtqemud libvirtd; do
    command -v "$tool" >/dev/null 2>&1 && tell "$tool"
done

say sockets
for socket in libvirt-sock virtqemud-sock virtstoraged-sock virtnetworkd-sock virtnwfilterd-sock \
    virtproxyd-sock; do
    if [ -w "/run/libvirt/$socket" ]; then
        tell "$socket w"
    elif [ -S "/run/libvirt/$socket" ]; then
        tell "$socket -"
    fi
done
if [ -c /dev/kvm ]; then
    say kvm
    if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then tell allowed; else tell refused; fi
fi

if [ "$depth" = full ]; then
    say sshd
    tell "$(grep -shiE -m 3 '^[[:space:]]*MaxStartups[[:space:]]' /etc/ssh/sshd_config.d/*.conf \
        /etc/ssh/sshd_config </dev/null)"
fi

# What the kernel says of itself; the sieve below reads these too, for that costs no process more.
set -- /proc/sys/kernel/hostname /proc/sys/kernel/osrelease /proc/sys/kernel/arch \
    /proc/sys/kernel/random/boot_id /etc/machine-id /proc/meminfo /proc/loadavg /proc/uptime \
    /proc/stat /proc/pressure/cpu /proc/pressure/memory /proc/pressure/io \
    /sys/devices/system/cpu/online /proc/sys/net/bridge/bridge-nf-call-iptables \
    /proc/sys/net/bridge/bridge-nf-call-ip6tables /sys/class/net/*/bridge/nf_call_iptables \
    /sys/class/net/*/bridge/nf_call_ip6tables
if [ -r /etc/os-release ]; then set -- "$@" /etc/os-release; else set -- "$@" /usr/lib/os-release; fi
[ "$depth" = quick ] || set -- "$@" /sys/fs/selinux/enforce

# Of what libvirt says, only what is wanted leaves the host, and what to ask next is found out:
# `n path DIRECTORY` for each pool that is a directory, and last `n more COMMANDS`.
# shellcheck disable=SC2016
sieve='
function keep(line) {
    size += length(line) + 1
    if (size < 1500000) print line
    else if (!cut++) print n " cut"
}
function plain(xml) {
    sub(/^[^>]*>/, "", xml); sub(/<.*/, "", xml)
    gsub(/&lt;/, "<", xml); gsub(/&gt;/, ">", xml); gsub(/&quot;/, "\"", xml)
    gsub(/&apos;/, q, xml); gsub(/&amp;/, "\\&", xml)
    return xml
}
function value(attribute) {
    if (!match($0, attribute "=.[^\"" q "]*")) return ""
    return substr($0, RSTART + length(attribute) + 2, RLENGTH - length(attribute) - 2)
}
function mark(section) { return "; echo \"" n " " section "\n\"; " }
BEGIN {
    q = sprintf("%c", 39)
    # Each line comes as FILE:LINE. What may be long and says nothing here stays away.
    if (ARGC > 1) print "\n" n " files"
    for (i = 1; i < ARGC; i++)
        while ((getline line < ARGV[i]) > 0)
            if (ARGV[i] !~ /\/(meminfo|stat|pressure\/[a-z]+|os-release)$/ ||
                line ~ /^(Mem(Total|Available):|Huge|cpu |btime |some |(ID|ID_LIKE|NAME|VERSION_ID)=)/)
                print ARGV[i] ":" substr(line, 1, 400)
    ARGC = 1
    print "\n" n " libvirt"
}
$1 == n {
    kind = $2; record = ""; in_record = 0; disk = 0; cpu = 0; part = ""; names = ""
    if (kind == "guest") found[$3] = 1
    keep($0); next
}
/^$/ { next }
/^error: / { keep(substr($0, 1, 400)); next }
kind == "guests" { order[++count] = "guest " $1; keep($0); next }
kind == "pools" { order[++count] = "pool " $1; next }
kind == "nets" { order[++count] = "net " $1; next }
kind == "guest" {
    if (in_record) {
        if (length(record) < 65536) record = record "\n" $0
        if (/^  <\/metadata>/) {
            in_record = 0
            if (index(record, "urn:vmctl:server:1")) keep(record)
        }
    }
    else if (/^  <metadata>/) { in_record = 1; record = $0 }
    else if (/^<domain / || /^  <(memory|vcpu)[ >]/ || /^    <(vcpu|emulator|iothread)pin /) keep($0)
    else if (depth == "full") {
        if (/^    <disk /) disk = /device=.disk/
        else if (/^    <\/disk>/) disk = 0
        else if (disk && /^      <source (file|dev)=/) keep($0)
    }
    next
}
kind == "pool" {
    if (/^<pool /) type = value("type")
    if (/^<pool / || /^  <(name|uuid|capacity|allocation|available)[ >]/) keep($0)
    else if (/^    <path>/) {
        keep($0)
        path = plain($0)
        if (type ~ /^(dir|fs|netfs)$/ && !seen[path]++) paths = paths n " path " path "\n"
    }
    next
}
kind == "vols" { if (depth == "full" || $1 ~ /^vmctl-base-/) keep($0); next }
kind == "net" { if (/^  <(name|bridge|forward|virtualport)[ >]/) keep($0); next }
kind == "host" {
    if (/^    <uuid>/) keep($0)
    else if (/^    <cpu>/) cpu = 1
    else if (/^    <\/cpu>/) { cpu = 0; keep("features" names) }
    else if (cpu && /^      <feature name=/) names = names " " value("name")
    else if (cpu && /^      <(model|vendor|topology)[ >]/) keep($0)
    else if (cpu && /^      <arch>/) { arch = plain($0); keep($0) }
    else if (/^    <arch name=/) part = value("name")
    else if (part != "" && part == arch && /^      <(domain|emulator)[ >]/) keep($0)
    next
}
kind == "abilities" {
    if (/<(enum|mode) name=/) part = value("name")
    else if (part ~ /^(firmware|secure|backendModel)$/ && /<value>/) keep(part " " plain($0))
    else if (part == "host-model" && /^      <model /) keep("model " plain($0))
    next
}
{ keep($0) }
END {
    if (!again) {
        for (i = 1; i <= count; i++) {
            split(order[i], what, " ")
            id = what[2]
            if (id !~ /^[0-9a-f-]+$/ || (id in found)) continue
            found[id] = 1
            more = more mark(order[i])
            if (what[1] == "guest") more = more "dumpxml " id
            else if (what[1] == "net") more = more "net-dumpxml " id
            else more = more "pool-dumpxml " id mark("vols " id) "vol-list --details " id
        }
        if (depth == "full" && arch != "") {
            more = more mark("abilities") "domcapabilities"
            if (arch == "x86_64") more = more " --machine q35"
            if (arch == "aarch64") more = more " --machine virt"
        }
    }
    printf "%s", paths
    if (more != "") print n " more " substr(more, 3)
}'
ask() {
    commands=$1 again=$2
    shift 2
    {
        timeout "$limit" virsh -q -c "$uri" "$commands" </dev/null 2>&1
        printf '\n%s end %s\n' "$n" $?
    } | awk -v n="$n" -v depth="$depth" -v again="$again" "$sieve" "$@"
}
# A shell's patterns take a second to find their way through a long text; its lines are short.
sort_out() {
    tell "$1"
    more=
    for line in $1; do
        case $line in
        "$n path "*) paths=$paths$nl${line#"$n path "} ;;
        "$n more "*) more=${line#"$n more "} ;;
        *) [ -z "$more" ] || more=$more$nl$line ;;
        esac
    done
}
set -f
IFS=$nl
paths=
sort_out "$(ask "$ask" "" "$@")"
[ -z "$more" ] || sort_out "$(ask "$more" 1)"

# The room in pools that are directories: libvirt's own numbers are those of its last refresh.
# shellcheck disable=SC2086
set -- $paths
if [ $# -gt 0 ]; then
    say df
    if room=$(timeout 5 df -PkT -- "$@" 2>/dev/null); then
        tell "$room"
    else
        for path; do
            say "df $path"
            tell "$(timeout 1 df -Pk -- "$path" 2>&1)"
        done
    fi
fi
if [ "$depth" = full ]; then
    say clock
    tell "$(date +%s)"
fi
say done
printf '%s' "$out"
exit 0
