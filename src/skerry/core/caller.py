"""Who is asking."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Caller:
    """One authenticated person or program, as the policy sees it.

    `project_id` is what images are owned by (Glance's `owner`); None for a caller without a project, whose
    credential is for a system (`system_scope`), a domain (`domain_id`), or nothing.
    `site` is the name of the site that asks on its own behalf, which may read and do nothing else.
    `expires_at` is the end of the credential in seconds since the epoch, or None.
    """

    user_id: str | None
    project_id: str | None
    roles: frozenset[str] = frozenset()
    is_admin: bool = False
    user_domain_id: str | None = None
    project_domain_id: str | None = None
    system_scope: str | None = None
    domain_id: str | None = None
    site: str | None = None
    expires_at: float | None = field(default=None, compare=False)
