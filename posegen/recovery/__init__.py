"""Find broken runs, go on with those that can be, close those that cannot, clean up after old ones.

Safe beside itself and beside running batches: whatever it does to a run, it owns the run first.
"""

from posegen.recovery.act import Stopper, recover, repeat
from posegen.recovery.look import Action, Found, FoundRuns, Observer, find, found_runs
from posegen.recovery.report import Recovered, RecoveryReport

__all__ = [
    "Action", "Found", "FoundRuns", "Observer", "Recovered", "RecoveryReport", "Stopper", "find",
    "found_runs", "recover", "repeat",
]  # fmt: skip
