"""A sound environment, and some thirty like it with one defect each."""
