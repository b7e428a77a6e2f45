"""Evaluation: a model at work in environments that it has not seen, several times each, and how often it passes."""
