"""What can go wrong with a simulator."""


class SimulatorError(RuntimeError):
    """Base of the errors that building and running a simulator raise on purpose: one line each."""
