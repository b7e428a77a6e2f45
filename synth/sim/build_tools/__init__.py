"""Scenarios of the build_tools domain, one short file each."""

from synth.sim.build_tools.cmake_export import CmakeExport
from synth.sim.build_tools.cross_build import CrossBuild
from synth.sim.build_tools.generated_table import GeneratedTable
from synth.sim.build_tools.link_order import LinkOrder
from synth.sim.build_tools.make_prerequisites import MakePrerequisites
from synth.sim.build_tools.reproducible_release import ReproducibleRelease
from synth.sim.build_tools.staged_install import StagedInstall
from synth.sim.build_tools.symbol_versions import SymbolVersions
from synth.sim.build_tools.undefined_behaviour import UndefinedBehaviour
from synth.sim.scenario import Scenario

SCENARIOS: tuple[type[Scenario], ...] = (
    CmakeExport,
    CrossBuild,
    GeneratedTable,
    LinkOrder,
    MakePrerequisites,
    ReproducibleRelease,
    StagedInstall,
    SymbolVersions,
    UndefinedBehaviour,
)
