"""What several tables of tests check alike."""

import pytest


def raises_clearly(wrong, kind, fragments):
    """`wrong()` raises exactly `kind`, with one sentence that holds all of `fragments`."""
    with pytest.raises(kind) as error:
        wrong()
    message = str(error.value)
    assert error.type is kind and "\n" not in message
    assert [f for f in fragments if f not in message] == [], message
