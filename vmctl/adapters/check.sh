# What a look cannot tell about a host, tried out. POSIX sh; the lines before this set
#   n         a random word that begins every line of the form `n SECTION [KEY]`
#   uri       libvirt's, as seen on the host; empty: it is not asked
#   pools     names, a line each
#   emulator  QEMU's path, to try KVM with; empty: no trial
#   accel     kvm
#   limit     seconds that a kernel may take to end
#   kernels   paths of further kernels, a line each
LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH
nl='
'
set -f
IFS=$nl
say() { printf '\n%s %s\n' "$n" "$1"; }
# A line `STEP CODE`, and what the command complained of.
try() {
    step=$1
    shift
    said=$("$@" 2>&1 >/dev/null </dev/null)
    code=$?
    printf '%s %s\n%.400s\n' "$step" "$code" "$said"
    return "$code"
}
ask() { timeout 15 virsh -q -c "$uri" "$@"; }

volume=vmctl-check-$n
made=
sweep() {
    [ -n "$made" ] || return 0
    pool=$made
    made=
    ask vol-delete --pool "$pool" --vol "$volume" </dev/null >/dev/null 2>&1
}
trap sweep EXIT
trap 'exit 0' HUP INT PIPE TERM

say begin

say who
id -un
id -Gn

say lease
try lease timeout 5 flock -n /var/lib/libvirt true

if [ -n "$uri" ]; then
    say nwfilter
    try nwfilter ask nwfilter-list
fi

# 4 KiB there and back: what images, seeds and console logs go through.
content=$(printf '%4096s' "$n")
for pool in $pools; do
    say "volume $pool"
    made=$pool
    if try create ask vol-create-as --pool "$pool" --name "$volume" --capacity 4096 --format raw; then
        said=$(printf %s "$content" | ask vol-upload --pool "$pool" --vol "$volume" /dev/stdin 2>&1 >/dev/null)
        printf 'upload %s\n%.400s\n' $? "$said"
        if [ "$(ask vol-download --pool "$pool" --vol "$volume" /dev/stdout </dev/null 2>/dev/null)" = "$content" ]; then
            echo download 0
        else
            try download ask vol-download --pool "$pool" --vol "$volume" /dev/stdout && echo download differs
        fi
        made=
        try delete ask vol-delete --pool "$pool" --vol "$volume" || made=$pool
    else
        made=
    fi
done

# Only Linux hangs on a KVM that does not work: firmware and small programs run. With no disk to
# go on with it panics, and by panic=-1 and -no-reboot that ends QEMU.
if [ -n "$emulator" ]; then
    say kvm
    set +f
    kernel=
    for file in /boot/vmlinuz-"$(uname -r)" /boot/vmlinuz-* /boot/vmlinuz /vmlinuz /lib/modules/*/vmlinuz $kernels; do
        [ -f "$file" ] || continue
        if [ -r "$file" ]; then
            kernel=$file
            break
        fi
        printf 'unreadable %s\n' "$file"
    done
    set -f
    set -- -nodefaults -no-user-config -display none -monitor none -serial stdio -no-reboot -m 256
    console=ttyS0
    case $(uname -m) in
    aarch64)
        set -- "$@" -machine virt
        console=ttyAMA0
        ;;
    esac
    [ "$accel" = kvm ] && models="host${nl}qemu64" || models=max
    if [ ! -x "$emulator" ]; then
        printf 'no-emulator %s\n' "$emulator"
    elif [ "$accel" = kvm ] && [ ! -c /dev/kvm ]; then
        echo no-device
    elif [ "$accel" = kvm ] && { [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; }; then
        echo refused
    elif [ -z "$kernel" ]; then
        echo no-kernel
    else
        for model in $models; do
            said=$(timeout -k 2 "$limit" "$emulator" -accel "$accel" -cpu "$model" "$@" \
                -kernel "$kernel" -append "panic=-1 quiet console=$console" 2>&1 </dev/null)
            code=$?
            case $said in
            *"Kernel panic"*)
                printf 'panicked %s\n' "$code"
                break
                ;;
            *) printf 'ended %s %s\n%.400s\n' "$code" "$model" "$said" ;;
            esac
            # QEMU may be at odds with this very processor; a kernel that hung needs no second word.
            [ "$code" = 124 ] && break
        done
    fi
fi
say done
exit 0
