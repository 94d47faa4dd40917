"""How long the day's tables keep what happened: as long as an answer of then may have to be explained. Pure.

`rec_id.MOST_DAYS` decides all of it. The tables say the same numbers in their TTLs, and a test holds them equal.
"""

from datetime import timedelta

from data_contracts.overlay.kinds import KINDS
from data_contracts.rec_id import MOST_DAYS

# TTLs of whole days count from a day's beginning, and answers are given until its end.
_REST_OF_DAY = timedelta(days=1)
_EXPLAINED = timedelta(days=MOST_DAYS)
_LIST_WINDOW = max((kind.window for kind in KINDS if kind.of_list and kind.window), default=timedelta())

# Of user_events, beyond the moment from which an event counts no longer (`expires_at`).
EVENTS_KEPT = _EXPLAINED + _REST_OF_DAY
# Of exposures. An answer may be dismissed as long as it is good; then no answer shows its items for a time; and each of
# those may be asked to explain itself.
EXPOSURES_KEPT = _EXPLAINED + _LIST_WINDOW + _EXPLAINED + _REST_OF_DAY
