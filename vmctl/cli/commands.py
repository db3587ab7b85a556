"""The command table: every command there is, by its words.

Modules are named, not imported: a run pays for its own command only.
"""

from __future__ import annotations

from vmctl.cli.grammar import Command, Commands

# One line for each, however long: it is read as a table.
# ruff: noqa: E501
COMMANDS: Commands = {
    "aggregate list": Command("vmctl.cli.zone", "aggregate_list", "list the aggregates of hosts"),
    "aggregate show": Command("vmctl.cli.zone", "aggregate_show", "show an aggregate", names=("aggregate",)),
    "availability zone list": Command("vmctl.cli.zone", "availability_zone_list", "list the availability zones"),
    "command list": Command("vmctl.cli.basics", "command_list", "list the commands"),
    "complete": Command("vmctl.cli.completion", "complete", "list what may follow", plain=True, hidden=True),
    "completion": Command("vmctl.cli.completion", "script", "print a shell's completion script", names=("shell",), plain=True),
    "db backup": Command("vmctl.cli.db", "db_backup", "copy the database into a file"),
    "db restore": Command("vmctl.cli.db", "db_restore", "put a backup in the place of the database"),
    "db upgrade": Command("vmctl.cli.db", "db_upgrade", "bring an older database up to date"),
    "db version": Command("vmctl.cli.db", "db_version", "show which database it is and its version"),
    "flavor create": Command("vmctl.cli.flavor", "flavor_create", "make a flavor"),
    "flavor delete": Command("vmctl.cli.flavor", "flavor_delete", "delete flavors", names=("flavor",)),
    "flavor list": Command("vmctl.cli.flavor", "flavor_list", "list the flavors"),
    "flavor set": Command("vmctl.cli.flavor", "flavor_set", "set extra specs of a flavor", names=("flavor",)),
    "flavor show": Command("vmctl.cli.flavor", "flavor_show", "show a flavor", names=("flavor",)),
    "flavor unset": Command("vmctl.cli.flavor", "flavor_unset", "drop extra specs of a flavor", names=("flavor",)),
    "fleet save": Command("vmctl.cli.fleet", "fleet_save", "write the fleet as it is into a file"),
    "help": Command("vmctl.cli.help", "help_words", "show help for words, exit-codes or environment", plain=True),
    "host check": Command("vmctl.cli.host_check", "host_check", "tell what is wrong with hosts, and what mends it", names=("host",)),
    "host disable": Command("vmctl.cli.host", "host_disable", "keep new servers off a host", names=("host",)),
    "host enable": Command("vmctl.cli.host", "host_enable", "let new servers onto a host again", names=("host",)),
    "host list": Command("vmctl.cli.host", "host_list", "list the hosts and what each has"),
    "host show": Command("vmctl.cli.host", "host_show", "show all that is known of a host", names=("host",)),
    "host ssh": Command("vmctl.cli.host_entry", "host_ssh", "enter a host, or run a command there", names=("host",)),
    "host trust": Command("vmctl.cli.host_entry", "host_trust", "show a host's key and pin it", names=("host",)),
    "hypervisor list": Command("vmctl.cli.hypervisor", "hypervisor_list", "list the hypervisors"),
    "hypervisor show": Command("vmctl.cli.hypervisor", "hypervisor_show", "show a hypervisor", names=("host",)),
    "hypervisor stats show": Command("vmctl.cli.hypervisor", "hypervisor_stats_show", "show the sums over all hypervisors"),
    "image cache list": Command("vmctl.cli.image_cache", "image_cache_list", "list the images that hosts have"),
    "image cache prune": Command("vmctl.cli.image_cache", "image_cache_prune", "take images off hosts that need them no more"),
    "image cache push": Command("vmctl.cli.image_cache", "image_cache_push", "bring an image to hosts", names=("image",)),
    "image create": Command("vmctl.cli.image_create", "image_create", "make an image of a file or a URL"),
    "image delete": Command("vmctl.cli.image", "image_delete", "delete images", names=("image",)),
    "image list": Command("vmctl.cli.image", "image_list", "list the images"),
    "image save": Command("vmctl.cli.image", "image_save", "write an image's bytes into a file", names=("image",)),
    "image set": Command("vmctl.cli.image", "image_set", "change the record of an image", names=("image",)),
    "image show": Command("vmctl.cli.image", "image_show", "show an image", names=("image",)),
    "image unset": Command("vmctl.cli.image", "image_unset", "drop properties of an image", names=("image",)),
    "init": Command("vmctl.cli.inventory", "init", "write a first inventory"),
    "inventory show": Command("vmctl.cli.inventory", "inventory_show", "show the inventory after its defaults"),
    "inventory validate": Command("vmctl.cli.inventory", "inventory_validate", "tell what is wrong with the inventory"),
    "placement capacity": Command("vmctl.cli.placement", "placement_capacity", "tell how many more servers fit, and what binds"),
    "placement explain": Command("vmctl.cli.placement", "placement_explain", "tell where servers would go, and why not elsewhere"),
    "placement simulate": Command("vmctl.cli.placement", "placement_simulate", "place a request on a fleet, both from files"),
    "quota set": Command("vmctl.cli.quota", "quota_set", "limit what a project may take"),
    "quota show": Command("vmctl.cli.quota", "quota_show", "show what a project may take"),
    "server create": Command("vmctl.cli.server_create", "server_create", "create servers"),
    "server delete": Command("vmctl.cli.server_delete", "server_delete", "delete servers", names=("server",)),
    "server group create": Command("vmctl.cli.server_group", "server_group_create", "make a server group"),
    "server group delete": Command("vmctl.cli.server_group", "server_group_delete", "delete server groups", names=("group",)),
    "server group list": Command("vmctl.cli.server_group", "server_group_list", "list the server groups"),
    "server group show": Command("vmctl.cli.server_group", "server_group_show", "show a server group", names=("group",)),
    "server list": Command("vmctl.cli.server_list", "server_list", "list the servers"),
    "version": Command("vmctl.cli.help", "version", "print the version", plain=True),
}  # fmt: skip
