"""What every catalogue promises, with PostgreSQL: the tests are those of `tests/contract`."""

from tests.contract.test_catalogue_pages import *  # noqa: F403
from tests.contract.test_copies import *  # noqa: F403
from tests.contract.test_journal import *  # noqa: F403
from tests.contract.test_onlooker import *  # noqa: F403
from tests.contract.test_primary_catalogue import *  # noqa: F403
from tests.contract.test_records_that_travel import *  # noqa: F403
from tests.contract.test_sites import *  # noqa: F403
