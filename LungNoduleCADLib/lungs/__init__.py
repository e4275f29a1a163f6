"""Where the right and the left lung are: a classical mask today, any callable that answers with a LungMask tomorrow."""
