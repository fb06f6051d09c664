import pytest
from made_up_study import made_up

from rankscope.report.sections import StoredResults


@pytest.fixture(scope="session")
def results() -> StoredResults:
    """A made-up study."""
    return made_up()
