"""Pytest fixtures."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from ._sandbox import Sandbox


class UnusedFaultWarning(UserWarning):
    """A test added a fault that was never injected, so that it may have tested nothing."""


@pytest.fixture(scope="session")
def sandbox_options() -> list[str]:
    """Options of the program. Override this fixture to change them."""
    return []


@pytest.fixture(scope="session")
def sandbox_server(sandbox_options: list[str]) -> Iterator[Sandbox]:
    """Server of the test session."""
    with Sandbox(options=sandbox_options) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_server: Sandbox) -> Iterator[Sandbox]:
    """Server in its initial state, with credentials of this test.

    Credentials of earlier tests stay valid, so that clients that outlive a test keep working.
    """
    sandbox_server.reset(keep_credentials=True)
    sandbox_server.environment = sandbox_server.credentials()
    yield sandbox_server
    for fault in sandbox_server.unused_faults():
        warnings.warn(f"fault was never injected: {fault}", UnusedFaultWarning, stacklevel=1)
