"""Where the right and the left lung are: a classical method, and a trained network that adds dense lung."""
