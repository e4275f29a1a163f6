"""Connecting Qt signals without silent failure."""


def connect(sender, signal, slot):
    """``sender.connect`` that raises for a signal which does not exist (PythonQt only answers False)."""
    if not sender.connect(signal, slot):
        raise AttributeError(f"{type(sender).__name__} has no signal {signal}")
