"""Where the right and the left lung are: a trained network, and a classical method that checks and replaces it."""
