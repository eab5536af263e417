"""Mock server of the Camunda 8 Administration API."""

from ._sandbox import (
    Cluster,
    ControlError,
    Fault,
    Request,
    Sandbox,
    SandboxError,
    Stats,
    find_program,
)

__all__ = [
    "Cluster",
    "ControlError",
    "Fault",
    "Request",
    "Sandbox",
    "SandboxError",
    "Stats",
    "find_program",
]
