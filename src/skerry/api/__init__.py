"""HTTP. `image/` speaks OpenStack's Image API v2, `site/` is Skerry's own; one module a resource.

May import everything below; handlers translate between HTTP and the parts, and decide nothing themselves.
"""
