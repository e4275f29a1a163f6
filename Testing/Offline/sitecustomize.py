"""Loaded by every Python that a test starts: see ``no_network.py``."""

import no_network

no_network.install()
