"""By which connection a request came."""

import ssl
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from skerry.api.visitors import connection_of


def request(connection: ssl.SSLObject | None) -> web.Request:
    """A request that came by a connection."""
    transport = Mock(get_extra_info={"ssl_object": connection}.get)
    return make_mocked_request("POST", "/v2/images", transport=transport)


def test_a_request_at_the_api_came_by_no_connection_of_a_site() -> None:
    assert connection_of(request(None)) is None


def test_a_request_at_the_listener_for_sites_came_by_tls() -> None:
    connection = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="x")

    assert connection_of(request(connection)) is connection


def test_a_request_whose_connection_is_gone_is_nobodys() -> None:
    """A stranger at the listener for sites must not be taken for a user at the API by hanging up."""
    gone = request(None)
    gone.protocol.transport = None

    with pytest.raises(ConnectionResetError):
        connection_of(gone)
