"""What is done to the power of the server on a stage, as tests beside the torture do it."""

from __future__ import annotations

from tests.support.torture_power import doing
from vmctl.domain import deed as deeds
from vmctl.sagas import power

START = doing(deeds.START, power.START)
STOP = doing(deeds.STOP, power.STOP)
FORCED = doing(deeds.STOP, power.STOP, patience=0)
REBOOT = doing(deeds.REBOOT, power.REBOOT)
HARD = doing(deeds.REBOOT_HARD, power.REBOOT_HARD)
PAUSE = doing(deeds.PAUSE, power.PAUSE)
UNPAUSE = doing(deeds.UNPAUSE, power.UNPAUSE)
SUSPEND = doing(deeds.SUSPEND, power.SUSPEND)
RESUMING = doing(deeds.RESUME, power.RESUME)
