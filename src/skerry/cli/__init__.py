"""The `skerry` command: one file a command, each with `arguments(parser)` and `run(args) -> exit code`.

Commands speak to sites over HTTP like any client. May import everything below; only the command that was
asked for is imported.
"""
