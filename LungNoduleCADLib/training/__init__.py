"""Training pipelines: data sets, samples, losses, the loop, and one recipe a model."""
