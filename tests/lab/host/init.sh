#!/bin/bash
# The first process of a lab host: makes the mounts that are this host's own, starts its daemons, then reaps.
#
#   init.sh HOST_DIR NAME
#
# Nothing is left to undo: all of it lives in this process's namespaces and ends with it.
set -eu
dir=$1
name=$2
hostname "$name"
mount --make-rprivate /

# Files and folders of the host's own, over the machine's.
cd "$dir/root"
for path in etc/passwd etc/group etc/shadow etc/sudoers etc/hostname etc/hosts etc/machine-id etc/ssh \
    etc/libvirt var/lib/libvirt var/log/libvirt var/cache/libvirt; do
    mount --bind "$path" "/$path"
done
mount -o loop,noatime ../images.ext4 /var/lib/libvirt/images
mount --bind boot_id /proc/sys/kernel/random/boot_id
cd /

# What a host forgets when it is off. These come last: HOST_DIR itself may lie below one of them.
for volatile in /run /tmp /mnt /home /root; do mount -t tmpfs -o mode=755 tmpfs "$volatile"; done
chmod 1777 /tmp
chmod 700 /root
install -d -o ops -g ops /home/ops
install -d -o admin -g admin /home/admin
mkdir -p /run/sshd
mkdir -m 1777 /run/lock # libvirt keeps there who has a console
if [ -c /dev/kvm ]; then
    # As distributions have it; where QEMU's own user may not open it, libvirt would probe QEMU anew at every call.
    mknod -m 660 /run/kvm c 10 232
    chgrp kvm /run/kvm
    mount --bind /run/kvm /dev/kvm
fi

umask 022
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
unset "${!SUDO_@}" "${!VMCTL_@}" VIRTUAL_ENV 2>/dev/null || true
/usr/sbin/sshd -f /etc/ssh/sshd_config -E /var/log/libvirt/sshd.log
virtlogd -d
libvirtd -d
/etc/libvirt/lab/provision >/var/log/libvirt/provision.log 2>&1
touch /var/log/libvirt/ready

# A dead child that nobody waits for would look alive to libvirtd for ever.
trap 'exit 0' TERM
while :; do
    sleep 86400 &
    wait $! || true
done
