"""The ports made real: SSH, libvirt, the database, files."""
