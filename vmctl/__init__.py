"""vmctl: virtual machines on KVM hosts over SSH and libvirt."""
