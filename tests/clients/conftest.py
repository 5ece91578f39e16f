"""What the tests of real clients share: a ring of three nodes for each module."""

from collections.abc import Iterator

import pytest

from anel import testing
from anel.testing.local_ring import LocalRing


@pytest.fixture(scope="module")
def ring() -> Iterator[LocalRing]:
    """Give a ring of three nodes, three copies of each row."""
    with testing.cluster(3) as started:
        yield started
