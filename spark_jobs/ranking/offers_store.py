"""Offer models on disk: arrays as npz, boosters as ubj, the rest as JSON with every file's sha256.

`retrieval/` holds what the sources learned and the item index of the as-of, `offers/` the ranker. Nothing is pickled.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from data_contracts.errors import InputError
from spark_jobs.candidates.base import RetrievalModel
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.features.item_features import ItemAttributes, ItemFeatures
from spark_jobs.lake.files import digests_of, read_bytes, write_bytes
from spark_jobs.ranking.boosting import booster_bytes, booster_from
from spark_jobs.ranking.calibration import Platt
from spark_jobs.ranking.offers import OfferModels, OfferRanker, Prior

_ARRAYS = "arrays.npz"
_DOCUMENT = "document.json"
_RETRIEVAL_ARRAYS = (
    "item_factors",
    "offered_factors",
    "segment_vectors",
    "neighbours",
    "neighbour_scores",
    "popular",
    "popular_scores",
    "neighbour_base",
)
_ATTRIBUTES = ("brand", "category", "subcategory", "price")

Arrays = Mapping[str, npt.NDArray[np.generic]]


def save_retrieval(
    uri: str, model: RetrievalModel, *, item_ids: npt.NDArray[np.str_], items: ItemFeatures
) -> dict[str, str]:
    """Write `{uri}/retrieval`; the sha256 of each file."""
    arrays = {name: array for name in _RETRIEVAL_ARRAYS if (array := getattr(model, name)) is not None}
    arrays |= {name: getattr(items.attributes, name) for name in _ATTRIBUTES}
    arrays |= {"item_ids": item_ids.astype(np.str_), "item_features": items.values}
    return _save(f"{uri}/retrieval", {_ARRAYS: _npz(arrays)}, {"params": model.params.model_dump()})


def load_retrieval(uri: str) -> tuple[RetrievalModel, npt.NDArray[np.str_], ItemFeatures]:
    """The model, the ids of its items and their features."""
    document, files = _load(f"{uri}/retrieval")
    arrays = dict(np.load(io.BytesIO(files[_ARRAYS]), allow_pickle=False))
    learned = {name: arrays[name] for name in _RETRIEVAL_ARRAYS if name in arrays}
    model = RetrievalModel(params=RetrievalParams.model_validate(document["params"]), **learned)
    attributes = ItemAttributes(**{name: arrays[name] for name in _ATTRIBUTES})
    return model, arrays["item_ids"], ItemFeatures(arrays["item_features"], attributes)


def save_offer_ranker(uri: str, ranker: OfferRanker) -> dict[str, str]:
    """Write `{uri}/offers`; the sha256 of each file."""
    files = {f"booster-{n}.ubj": booster_bytes(booster) for n, booster in enumerate(ranker.boosters)}
    document = {
        "feature_names": list(ranker.feature_names),
        "candidates": dict(ranker.candidates),
        "prior": asdict(ranker.prior),
        "calibrator": asdict(ranker.calibrator),
        "facts": dict(ranker.facts),
    }
    return _save(f"{uri}/offers", files, document)


def load_offer_ranker(uri: str) -> OfferRanker:
    document, files = _load(f"{uri}/offers")
    return OfferRanker(
        feature_names=tuple(document["feature_names"]),
        candidates=document["candidates"],
        prior=Prior(**document["prior"]),
        boosters=tuple(booster_from(files[f"booster-{n}.ubj"]) for n in range(len(files))),
        calibrator=Platt(**document["calibrator"]),
        facts=document["facts"],
    )


def load_offer_models(uri: str) -> OfferModels:
    """Everything `rank_offers` needs, from the models' folder of an as-of. Raises InputError."""
    retrieval, item_ids, items = load_retrieval(uri)
    return OfferModels(item_ids=item_ids, items=items, retrieval=retrieval, ranker=load_offer_ranker(uri))


def _npz(arrays: Arrays) -> bytes:
    sink = io.BytesIO()
    np.savez(sink, **arrays)  # its zip entries carry a fixed date, so equal arrays give equal bytes
    return sink.getvalue()


def _save(folder: str, files: Mapping[str, bytes], document: Mapping[str, Any]) -> dict[str, str]:
    digests = digests_of(files)
    for name, content in files.items():
        write_bytes(f"{folder}/{name}", content)
    written = json.dumps({**document, "sha256": digests}, indent=1, sort_keys=True).encode()
    write_bytes(f"{folder}/{_DOCUMENT}", written)
    return digests


def _load(folder: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    try:
        document = json.loads(read_bytes(f"{folder}/{_DOCUMENT}"))
        files = {name: read_bytes(f"{folder}/{name}") for name in document["sha256"]}
    except FileNotFoundError as error:
        raise InputError(f"no models in {folder}: run the retrieval and ranking jobs first") from error
    for name, digest in document["sha256"].items():
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise InputError(f"{folder}/{name} is not what {_DOCUMENT} describes: run its job again")
    return document, files
