"""OpenStack's Image API v2, one module a resource."""
