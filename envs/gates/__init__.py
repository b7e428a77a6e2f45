"""The gates: an environment is believed when it was executed, each time in a fresh container without a network.

`examine` runs them over any task folder and says what was found; `prove` certifies a folder in which nothing was.
"""

from envs.builder_settings import Part
from envs.gates.examine import Examination, examine
from envs.gates.fault import Finding
from envs.gates.prove import Proven, prove
from envs.gates.settings import GateSettings

__all__ = ["Examination", "Finding", "GateSettings", "Part", "Proven", "examine", "prove"]
