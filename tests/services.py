"""What a test says when it needs something that a machine may not have: a broker, a browser, a Prometheus."""

import os

import pytest


def need(condition: object, message: str) -> None:
    """Go on if `condition` holds; else skip the test on a laptop, and fail it where CI is set.

    `message` says what is missing and how to get it: "no java on the PATH; run scripts/install-test-tools".
    """
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must have it: {message}", pytrace=False)
    pytest.skip(message)
