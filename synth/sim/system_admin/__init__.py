"""Scenarios of the system_admin domain, one short file each."""

from synth.sim.scenario import Scenario
from synth.sim.system_admin.backup_restore import BackupRestore
from synth.sim.system_admin.cron_jobs import CronJobs
from synth.sim.system_admin.disk_pressure import DiskPressure
from synth.sim.system_admin.host_templates import HostTemplates
from synth.sim.system_admin.local_packages import LocalPackages
from synth.sim.system_admin.log_rotation import LogRotation
from synth.sim.system_admin.syslog_routing import SyslogRouting
from synth.sim.system_admin.users_groups import UsersGroups
from synth.sim.system_admin.web_server import WebServer

SCENARIOS: tuple[type[Scenario], ...] = (
    BackupRestore,
    CronJobs,
    DiskPressure,
    HostTemplates,
    LocalPackages,
    LogRotation,
    SyslogRouting,
    UsersGroups,
    WebServer,
)
