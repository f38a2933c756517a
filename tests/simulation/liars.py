"""Every kind of liar by name, and whose fault it may be that three nodes fork.

`twin` and `restored` need no code of their own here: the first is a second running copy with the same key, the second a
node that was put back from an old image of its whole disk (consensus.md 1.3, H4 and H10); see world.py.
"""

from __future__ import annotations

from tests.simulation.deceit import Liar
from tests.simulation.false_frames import Accuser, Babbler, Impersonator, Mislabels, Replayer, SignsOften, Stranger
from tests.simulation.false_keys import KeepsOldKeys
from tests.simulation.false_service import FalseStatus, FalseSync, NeverCosigns, SplitsCheckpoints
from tests.simulation.false_views import DoubleNewView, FalseNewView, HidesPrepared, StaleViewChange, ViewSpammer
from tests.simulation.false_votes import (
    BackToThePast,
    BadHeader,
    BadItems,
    DoubleVoter,
    EquivocatingPrimary,
    FalseState,
    PassesOver,
    SilentPrimary,
    SlowDrip,
    WrongTime,
)

TWIN = "twin"
RESTORED = "restored"
KEEPS_OLD_KEYS = "keeps-old-keys"
LIARS: dict[str, type[Liar]] = {
    "accuses-the-honest": Accuser,
    "babbles": Babbler,
    "back-to-the-past": BackToThePast,
    "bad-headers": BadHeader,
    "bad-items": BadItems,
    "double-new-view": DoubleNewView,
    "equivocating-primary": EquivocatingPrimary,
    "false-new-view": FalseNewView,
    "false-state": FalseState,
    "false-status": FalseStatus,
    "false-sync": FalseSync,
    "hides-prepared": HidesPrepared,
    "impersonates": Impersonator,
    "mislabels": Mislabels,
    "never-cosigns": NeverCosigns,
    "passes-over": PassesOver,
    "replays": Replayer,
    "signs-often": SignsOften,
    "silent-primary": SilentPrimary,
    "slow-drip": SlowDrip,
    "splits-checkpoints": SplitsCheckpoints,
    "spams-views": ViewSpammer,
    "stale-view-change": StaleViewChange,
    "stranger": Stranger,
    "votes-twice": DoubleVoter,
    "wrong-time": WrongTime,
}
WITH_CHANGES: dict[str, type[Liar]] = {KEEPS_OLD_KEYS: KeepsOldKeys}
"""Those that have something to lie about only where members change."""
NAMES = (*LIARS, RESTORED, TWIN)
FORKS_THREE = frozenset({RESTORED, TWIN, *(name for name, liar in LIARS.items() if liar.forks_three)})
"""Those of whom it takes one to fork what three nodes call committed; the others may not do even that."""
