"""Where bytes rest. May import `core` and `config`."""
