"""Glance's rule names and its default rules (2026.1), and those of Skerry (`skerry:…`), as a plain table.

Each entry is a check in oslo.policy's language. An operator's policy.yaml overrides single entries. The
checks assume that the caller may see the image at all (`core.rights.visible`), as they do in Glance: that is
why `'shared':%(visibility)s` asks for no membership.
"""

from collections.abc import Mapping

ADMIN = "rule:context_is_admin"
_OWNER = "project_id:%(project_id)s"
_SEEN = f"""({_OWNER} or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s
 or 'shared':%(visibility)s)"""

_MEMBER = f"{ADMIN} or (role:member and {_OWNER})"
_READER = f"{ADMIN} or (role:reader and {_OWNER})"
_DOWNLOAD = f"{ADMIN} or (role:member and {_SEEN})"
_SHARING = f"{ADMIN} or role:reader and ({_OWNER} or project_id:%(member_id)s)"

DEFAULTS: Mapping[str, str] = {
    "default": "",
    "context_is_admin": "role:admin",
    "service_api": "role:service or role:admin",
    "add_image": f"{ADMIN} or (role:member and {_OWNER} and project_id:%(owner)s)",
    "delete_image": _MEMBER,
    "get_image": f"{ADMIN} or (role:reader and {_SEEN})",
    "get_images": _READER,
    "modify_image": _MEMBER,
    "publicize_image": ADMIN,
    "communitize_image": _MEMBER,
    "download_image": _DOWNLOAD,
    "download_from_store": _DOWNLOAD,
    "upload_image": _MEMBER,
    "delete_image_location": ADMIN,
    "get_image_location": _READER,
    "set_image_location": _MEMBER,
    "add_image_location": f"rule:service_api or (role:member and {_OWNER} and project_id:%(owner)s)",
    "fetch_image_location": "rule:service_api",
    "add_member": _MEMBER,
    "delete_member": _MEMBER,
    "get_member": _SHARING,
    "get_members": _SHARING,
    "modify_member": f"{ADMIN} or (role:member and project_id:%(member_id)s)",
    "manage_image_cache": ADMIN,
    "deactivate": _MEMBER,
    "reactivate": _MEMBER,
    "copy_image": ADMIN,
    "list_cached_nodes": ADMIN,
    "cache_image": ADMIN,
    "cache_list": ADMIN,
    "cache_delete": ADMIN,
    "cache_clean": ADMIN,
    "cache_prune": ADMIN,
    "stores_info_detail": f"{ADMIN} or rule:service_api",
    "get_task": "rule:default",
    "get_tasks": "rule:default",
    "add_task": "rule:default",
    "modify_task": "rule:default",
    "tasks_api_access": ADMIN,
    "skerry:sites_read": ADMIN,
    "skerry:sites_write": ADMIN,
    "skerry:placements_read": ADMIN,
    "skerry:placements_write": ADMIN,
    "skerry:copies_read": ADMIN,
    "skerry:transfers_write": ADMIN,
}

SITE_READS = frozenset(
    {"get_images", "get_image", "download_image", "download_from_store", "get_member", "get_members"}
)
"""What other sites may do, whatever the rules say; nothing else."""

UNSCOPED = frozenset({"default", "context_is_admin", "service_api"})
"""Rules that hold for tokens of every scope; all others are for tokens of a project alone."""
