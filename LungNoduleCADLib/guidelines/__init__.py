"""Published management rules as tables: what category a nodule gets, by which rule, from which source."""
