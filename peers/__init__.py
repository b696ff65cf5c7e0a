"""Real programs on loopback, for tests/peers and the benchmarks: the neighbours that Skerry has in the field.

Keystone and Glance from PyPI (uWSGI, MariaDB), nginx, PostgreSQL, the `openstack` command and openstacksdk in
an environment of their own, and real disk images. Not part of the product: nothing in `src/skerry` imports
it, it imports nothing of Skerry, and it needs the standard library alone.

`python -m peers install` gets everything; `python -m peers up keystone glance` starts them for a person.
"""
