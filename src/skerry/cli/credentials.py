"""Who asks: the OS_ variables that every OpenStack client reads."""

from collections.abc import Mapping
from typing import Any

from skerry.core.errors import NotAuthenticated


def headers_from(environ: Mapping[str, str]) -> dict[str, str]:
    """The headers that carry the caller's credentials; empty when the environment has none.

    OS_TOKEN alone is sent as it is. Otherwise keystoneauth does what OS_AUTH_TYPE says (`password` when only
    OS_AUTH_URL is set), as in the `openstack` command; it blocks while it asks Keystone. Raises
    NotAuthenticated when it gets nothing.
    """
    if environ.get("OS_TOKEN"):
        return {"X-Auth-Token": environ["OS_TOKEN"]}
    kind = environ.get("OS_AUTH_TYPE") or ("password" if environ.get("OS_AUTH_URL") else "none")
    if kind in ("none", "noauth"):
        return {}

    from keystoneauth1 import exceptions, loading, session

    try:
        loader: Any = loading.get_plugin_loader(kind)
        given = {
            option.dest: environ[name]
            for option in loader.get_options()
            for name in (f"OS_{option.dest.upper()}",)
            if environ.get(name)
        }
        verify = environ.get("OS_CACERT") or True
        headers = session.Session(loader.load_from_options(**given), verify=verify).get_auth_headers()
    except exceptions.ClientException as error:
        raise NotAuthenticated(
            f"No credentials from OS_AUTH_TYPE={kind}: {error}", hint="Check the OS_ variables."
        ) from None
    return dict(headers or {})
