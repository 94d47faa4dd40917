"""What a search in the app is about: words of a query to a family of products."""

import re
from functools import lru_cache

from data_contracts.vocabulary import Family

_WORD = re.compile(r"\w+")
# Beginnings of words. Of several that fit, the one of most words counts, then the first: a credit card is a card.
_BEGINNINGS: tuple[tuple[str, Family], ...] = tuple(
    (beginnings, family)
    for family, listed in {
        Family.CARD: ("кредитн карт", "credit card", "debit card", "карт", "card"),
        Family.MORTGAGE: ("ипоте", "mortgage"),
        Family.INSURANCE: ("страхо", "осаго", "каско", "insur"),
        Family.CASHBACK: ("cash back", "кэшб", "кешб", "cashback"),
        Family.SAVINGS: ("savings account", "накоп", "копил", "saving"),
        Family.DEPOSIT: ("вклад", "депозит", "deposit"),
        Family.INVESTMENT: ("инвест", "брокер", "акции", "облигац", "иис", "invest", "broker", "stock", "bond"),
        Family.PREMIUM: ("персональн менеджер", "бизнес зал", "преми", "premium", "lounge"),
        Family.LOAN: ("кредит", "рефинанс", "рассроч", "loan", "credit", "refinanc", "instalment", "installment"),
    }.items()
    for beginnings in listed
)


@lru_cache(maxsize=8_192)
def family_of_search(query: str) -> Family | None:
    """None where it names nothing that we sell."""
    words = _WORD.findall(query.lower())
    fitting = [
        (len(beginnings.split()), -place, family)
        for place, (beginnings, family) in enumerate(_BEGINNINGS)
        if all(any(word.startswith(beginning) for word in words) for beginning in beginnings.split())
    ]
    return max(fitting)[2] if fitting else None
