"""The options of ``exec``, as data: one table for its two parsers, as options.py is for ``run``.

`run` has options of these names, too. Here they mean less, and their help says what is left.
"""

from __future__ import annotations

from tinybox.container.config.options import FLAG, LIST, TEXT, Option

OPTIONS = [
    Option("exec", "detach", "d", FLAG, "", "Leave the program running in the background."),
    Option("exec", "interactive", "i", FLAG, "", "Pass stdin on."),
    Option("exec", "tty", "t", FLAG, "", "Give the program a terminal."),
    Option("exec", "user", "u", TEXT, "USER[:GROUP]", "Run as this user."),
    Option("exec", "workdir", "w", TEXT, "DIR", "The directory to start in."),
    Option("exec", "env", "e", LIST, "NAME[=VALUE]", "Set a variable."),
    Option("exec", "env-file", "", LIST, "FILE", "Read variables from a file."),
    Option("exec", "privileged", "", FLAG, "", "With all capabilities and without the seccomp filter."),
    Option("exec", "detach-keys", "", TEXT, "KEYS", "The keys that detach from a terminal (default ctrl-p,ctrl-q)."),
]
BY_NAME = {option.name: option for option in OPTIONS}
BY_SHORT = {option.short: option for option in OPTIONS if option.short}
