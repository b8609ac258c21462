"""A Ray cluster, an optional extra: one that runs already, or one of this machine that ends with its user."""

import os
import socket
import typing
from pathlib import Path

from microduet.errors import InputError

SECONDS = 5.0
"""That a cluster has to take a connection."""
ATTEMPTS = 3
"""To start a cluster of this machine: Ray gives its node half a minute, which a busy machine may exceed."""


def connect(address: str | None, *, missing: str, processors: int | None = None) -> typing.Any:
    """The module ``ray``, connected. Its `shutdown` leaves a running cluster as it was and ends one started here.

    Parameters
    ----------
    address : ``host:port`` of a running cluster that this machine belongs to; None starts one, whatever runs already
    missing : what the error says if Ray is not installed
    processors : of a cluster that is started; None for those of the machine

    Raises
    ------
    InputError
        If Ray is not installed or connected already, or the cluster is out of reach or does not start.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is not None and _has_token():
        # Before Ray is imported. By itself it shows the token to clusters that it starts, and to no others.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError as error:
        raise InputError(missing) from error
    if ray.is_initialized():  # what is tried again below would end the other one
        raise InputError("Ray is connected already: one sweep or set of cards uses it at a time in a process")
    options: dict[str, typing.Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is not None:
        _reach(address)
        try:
            ray.init(address=address, **options)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"Ray at {address}: {error}") from error
        return ray
    for left in reversed(range(ATTEMPTS)):
        try:
            ray.init(address="local", num_cpus=processors, include_dashboard=False, **options)
            break
        except Exception as error:  # a node that starts too slowly raises just this
            ray.shutdown()
            if not left:
                raise InputError(f"Ray does not start on this machine: {error}") from error
    return ray


def _has_token() -> bool:
    """Whether this user has a token for clusters, where Ray looks for one."""
    named = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return named or (Path.home() / ".ray" / "auth_token").is_file()


def _reach(address: str) -> None:
    """Raise InputError unless something listens at `address`: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"address must be HOST:PORT, not {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS).close()
    except OSError as error:
        raise InputError(f"Ray cluster {address} is out of reach: {error.strerror or error}") from error
