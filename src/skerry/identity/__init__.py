"""Who is asking, and what the policy lets them do. May import `core` and `config`."""
