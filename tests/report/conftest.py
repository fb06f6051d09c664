import pytest

from rankscope.report.stored import StoredResults
from support.made_up_study import made_up


@pytest.fixture(scope="session")
def results() -> StoredResults:
    """A made-up study."""
    return made_up()
