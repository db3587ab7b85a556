"""A lab of real KVM hosts on one Linux machine.

Each host is a set of namespaces with its own sshd and libvirtd; `python -m tests.lab` brings them
up, breaks them on demand and takes them down without a trace.
"""
