"""What this site knows: records, members, copies. SQL stays in here. May import `core` and `config`."""
