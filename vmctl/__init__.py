"""vmctl: virtual machines on KVM hosts over SSH and libvirt."""

# A literal: importlib.metadata would cost more than all the rest of `vmctl --version`.
__version__ = "0.1.0"
