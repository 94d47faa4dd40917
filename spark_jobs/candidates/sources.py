"""The registry of candidate sources: one line each. Its order is the order of the ranker's source features."""

from collections.abc import Callable

from spark_jobs.candidates.als import als_candidates
from spark_jobs.candidates.base import Candidates, RetrievalModel, UserBlock
from spark_jobs.candidates.item_item import item_item_candidates
from spark_jobs.candidates.popular import popular_candidates
from spark_jobs.candidates.repeat import repeat_candidates

Source = Callable[[UserBlock, RetrievalModel, int], Candidates]

SOURCES: dict[str, Source] = {
    "repeat": repeat_candidates,
    "item_item": item_item_candidates,
    "als": als_candidates,
    "popular": popular_candidates,
}
