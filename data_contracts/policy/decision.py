"""What the policy answers: which items of a list are kept, and why each other one is not."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Drop(IntEnum):
    """Why an item is not shown. Where several rules speak against it, the lowest number is given.

    Rules up to MISSING_PREREQUISITE look at user and item alone; those after it look at the list above the item too.
    """

    NONE = 0
    NOT_SOLD = 1  # not on sale today
    BLOCKED = 2  # under a compliance stop
    NOT_SAFE = 3  # nothing is known of the user, and the product is not safe for anyone
    NO_CONSENT = 4  # the user does not want to be addressed in this channel
    CHANNEL = 5  # the product is not offered in this channel
    NOT_ELIGIBLE = 6
    HELD = 7
    PROHIBITED_WITH_HELD = 8
    MISSING_PREREQUISITE = 9
    REPEATED = 10  # the same item stands higher in the list
    BEYOND_TOP_K = 11
    PROHIBITED_WITH_PLACED = 12
    FAMILY_CAP = 13


@dataclass(frozen=True)
class Decision:
    """Per user and position of the list that was asked about; `reason` holds `Drop` values.

    A position without an item (-1) is not kept and has reason NONE.
    """

    keep: NDArray[np.bool_]  # [U, L]
    reason: NDArray[np.uint8]  # [U, L]
