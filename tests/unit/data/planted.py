"""Shows that a law fails on a planted bug, without the seconds that shrinking takes."""

from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st


def assert_fails(law: Any, *strategies: st.SearchStrategy[Any]) -> None:  # noqa: ANN401
    """Run a `@given` test again on the code as it is now; it must fail."""
    run = settings(phases=(Phase.explicit, Phase.generate), max_examples=500)(
        given(*strategies)(law.hypothesis.inner_test)
    )
    with pytest.raises(Exception):  # noqa: B017, PT011  # However it fails, it fails.
        run()
