#!/bin/bash
# Run once at each start of a host: what an administrator had set up there before anyone came with vmctl.
# Pool, network and the foreign guest that runs are on autostart: a second start only waits for them.
set -eu
virsh() { command virsh -q -c qemu:///system "$@"; }
until virsh uri >/dev/null 2>&1; do sleep 0.05; done
if [ ! -e /var/lib/libvirt/.provisioned ]; then
    cd /etc/libvirt/lab
    virsh "pool-define pool-default.xml; pool-build default; pool-start default; pool-autostart default;
        pool-define pool-archive.xml; pool-build archive; pool-start archive; pool-autostart archive;
        net-define net-default.xml; net-start default; net-autostart default;
        net-define net-foreign.xml; net-start storage-net; net-autostart storage-net;
        nwfilter-define nwfilter-foreign.xml;
        vol-create-as default legacy-db.qcow2 32M --format qcow2;
        vol-create-as archive old-build.img 4M --format raw;
        vol-create-as archive notes.raw 1M --format raw;
        vol-upload old-build.img old-build.bytes --pool archive;
        define guest-running.xml; start legacy-db; autostart legacy-db; define guest-off.xml"
    # What libvirt asks its QEMU at a first question takes seconds where forty hosts start at once.
    virsh "capabilities; domcapabilities" >/dev/null
    touch /var/lib/libvirt/.provisioned
fi
until [ "$(virsh list --name)" ]; do sleep 0.1; done
