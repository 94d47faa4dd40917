"""A small bank for tests of scoring: products, rules, a trained ranker, users as rows of the stage's input."""

from datetime import date

import numpy as np
import pyarrow as pa

from data_contracts.catalogue import Catalogue, Eligibility, LocalText, Product, ReasonCode, Reasons, Rules
from data_contracts.policy import compile_policy
from data_contracts.vocabulary import Channel, Family
from spark_jobs.features.cells import topic_code
from spark_jobs.features.product_signals import SIGNALS
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.calibration import sigmoid
from spark_jobs.ranking.product_prior import Priors
from spark_jobs.ranking.product_training import train_product_ranker
from spark_jobs.ranking.products import LabelledUsers, ProductRanker
from spark_jobs.ranking.rows import product_table
from spark_jobs.scoring.stage import ProductModels

FEATURES = ("f_telemetry_spend", "f_customer_age", "f_telemetry_views_card", "f_telemetry_views_loan")
PAIRS = ("f_pair_telemetry_views_7d",)
FEW_ROUNDS = BoosterParams(rounds=20, depth=3, learning_rate=0.2)


def product(product_id: str, family: Family, value: float, **more: object) -> Product:
    name = LocalText(en=product_id, ru=product_id)
    fields = {"channels": tuple(Channel), **more}
    return Product(product_id=product_id, family=family, name=name, value=value, **fields)  # type: ignore[arg-type]


def known(*odds: float) -> Priors:
    """Of products that are long on sale."""
    return Priors(np.array(odds, np.float32), np.zeros(len(odds), bool))


CATALOGUE = Catalogue(
    version="1",
    products=(
        product("card_a", Family.CARD, 100, safe_for_anyone=True),
        product("card_b", Family.CARD, 300),
        product("deposit_a", Family.DEPOSIT, 50, eligibility=Eligibility(min_age=30)),
        product("loan_a", Family.LOAN, 900, eligibility=Eligibility(max_score_band=3)),
        product("loan_old", Family.LOAN, 900, on_sale_to=date(2025, 1, 1)),
    ),
)
RULES = Rules(version="1", family_caps={Family.CARD: 2}, static_popular=("card_a",))
REASONS = Reasons(
    version="1",
    reasons=(
        ReasonCode(code=1, name="app", text=LocalText(en="a", ru="a"), prefixes=("f_telemetry_",)),
        ReasonCode(code=2, name="family", text=LocalText(en="f", ru="f"), prefixes=("f_family_",)),
        ReasonCode(code=3, name="profile", text=LocalText(en="p", ru="p"), prefixes=("f_customer_",)),
        ReasonCode(code=9, name="popular_now", text=LocalText(en="n", ru="n")),
    ),
)
AS_OF = date(2026, 3, 16)
PRODUCTS = product_table(CATALOGUE.products, known(*[-3.0] * len(CATALOGUE.products)))
POLICY = compile_policy(CATALOGUE, RULES, today=AS_OF)


def labelled_users(count: int, seed: int) -> LabelledUsers:
    rng = np.random.default_rng(seed)
    products = len(CATALOGUE.products)
    features = rng.normal(size=(count, len(FEATURES))).astype(np.float32)
    pairs = rng.normal(size=(count, products, 1)).astype(np.float32)
    own = features[:, [2, 2, 0, 3, 3]]
    return LabelledUsers(
        user_ids=np.arange(count, dtype=np.int64),
        features=features,
        pairs=pairs,
        eligible=np.ones((count, products), np.bool_),
        labels=rng.random((count, products)) < sigmoid(1.5 * own + pairs[:, :, 0] - 3.0),
        products=PRODUCTS,
    )


def small_ranker() -> ProductRanker:
    return train_product_ranker(
        labelled_users(3000, 1),
        labelled_users(3000, 2),
        feature_names=FEATURES,
        pair_names=PAIRS,
        negative_share=0.5,
        params=FEW_ROUNDS,
        seed=3,
        threads=2,
    )


def product_models() -> ProductModels:
    return ProductModels(ranker=small_ranker(), products=PRODUCTS, policy=POLICY, reasons=REASONS)


def users_table(count: int, seed: int = 0) -> pa.Table:
    """Rows of `user_rows`: customers of ages 20 to 60, some holding `card_a`, some with a pair signal."""
    rng = np.random.default_rng(seed)
    holdings = [[0] if number % 3 == 0 else [] for number in range(count)]
    viewed = [[1, 3] if number % 4 == 0 else None for number in range(count)]
    columns = {
        "user_id": pa.array(np.arange(count) * 7, pa.int64()),
        "segment": pa.array(np.arange(count) % 3, pa.int16()),
        "holdings": pa.array(holdings, pa.list_(pa.int32())),
        "birth_year": pa.array(2026 - 20 - np.arange(count) % 40, pa.int16()),
        "region": pa.array(np.ones(count), pa.int16()),
        "income_band": pa.array(np.full(count, 2), pa.int8()),
        "employment": pa.array(["employed"] * count),
        "score_band": pa.array(1 + np.arange(count) % 5, pa.int8()),
        "arrears_days": pa.array(np.zeros(count), pa.int16()),
        "consents": pa.array(np.full(count, 31), pa.int16()),
        **{name: pa.array(rng.normal(size=count).astype(np.float32)) for name in FEATURES},
        "pair_products": pa.array([None if codes is None else _product_codes(codes) for codes in viewed], pa.binary()),
        "pair_signals": pa.array([None if codes is None else _signals(1.0, 2.0) for codes in viewed], pa.binary()),
    }
    return pa.table(columns)


def _product_codes(positions: list[int]) -> bytes:
    return np.array([topic_code(CATALOGUE.products[n].product_id) for n in positions], "<i8").tobytes()


def _signals(*values: float) -> bytes:
    signals = np.zeros((len(values), len(SIGNALS)), "<f4")
    signals[:, SIGNALS.index(PAIRS[0])] = values
    return signals.tobytes()
