"""Controlled comparisons of training objectives: the same everything but the objective, several seeds, intervals."""
