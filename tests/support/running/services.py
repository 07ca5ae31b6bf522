"""Services that tests need from outside the interpreter, and the environment of the programs they start."""

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


def plain_environment(**variables: str) -> dict[str, str]:
    """The environment for a program that is timed or takes long: this one's without coverage, which slows it down."""
    return {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")} | variables
