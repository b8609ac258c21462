"""Errors that a user can cause: one line that says what, where and what is allowed."""


class MicroduetError(Exception):
    """Base of every error this package raises on purpose; the command line prints it and exits with `exit_status`."""

    exit_status = 2


class InputError(MicroduetError, ValueError):
    """An argument of the driver has a wrong type, shape or value."""


class ModelError(MicroduetError):
    """A model that the compiler does not support."""


class PlacementError(MicroduetError):
    """A table that no memory of the board can hold."""


class SearchError(MicroduetError):
    """A model for which no arrangement of arrays fits the card."""


class BundleError(MicroduetError):
    """A bundle that is missing, damaged or of another format."""


class DeviceError(MicroduetError):
    """A device that is closed, of another configuration, or does not answer."""


class DataError(MicroduetError):
    """A click log that is missing, damaged or not of its format; the message names the file and, if any, the line."""


class TrainingError(MicroduetError):
    """Data that does not fit a model, or a training that cannot go on."""


class CheckpointError(MicroduetError):
    """A checkpoint that is missing, damaged, or of another model or format."""
