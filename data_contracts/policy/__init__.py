"""The one policy: the only code that decides what may be shown.

Look-up, bulk lists, audiences, fallback lists and the nightly gate all call it. Catalogue and rules are compiled once
into arrays (`compile_policy`), users are arrays too (`Users`), and a decision is made for all of them at once
(`decide`, `decide_offers`), so one user and millions take the same path.

Belongs here: every rule on showing, its order, and the words for why something was dropped.
Does not: ranking, where lists come from, files, clocks, databases.
"""

from data_contracts.policy.compiled import CompiledPolicy, compile_policy, policy_hash
from data_contracts.policy.decide import decide, decide_offers, kept, kept_offers, standing_drops
from data_contracts.policy.decision import Decision, Drop
from data_contracts.policy.users import Consent, Users, employment_codes, holdings_matrix, may_profile

__all__ = [
    "CompiledPolicy",
    "Consent",
    "Decision",
    "Drop",
    "Users",
    "compile_policy",
    "decide",
    "decide_offers",
    "employment_codes",
    "holdings_matrix",
    "kept",
    "kept_offers",
    "may_profile",
    "policy_hash",
    "standing_drops",
]
