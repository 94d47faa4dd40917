"""`recs bench allocation`: a million users and twenty campaigns, one allocation, beside campaigns that queue."""

import json
import resource
import subprocess
import sys
import time

import numpy as np

from data_contracts.errors import RecsError
from infra.bench.figure import Figure
from spark_jobs.campaigns.allocate import allocate, fill
from spark_jobs.campaigns.problem import Problem

USERS, CAMPAIGNS = 1_000_000, 20
_CHANNELS, _PRODUCTS = 3, 6
PRIORITIES = (2.0, 1.0, 0.5, 1.0)


def run() -> list[Figure]:
    """In a process of its own, so that its memory is the allocation's."""
    ended = subprocess.run(
        [sys.executable, "-m", "infra.bench.allocation"], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise RecsError(f"the allocation ended with code {ended.returncode}: {ended.stderr[-2000:]}")
    told = json.loads(ended.stdout)
    asked = f"{told['pairs']:,} eligible pairs, {told['contacts']:,} contacts, {_CHANNELS} channels, 4 exclusions"
    return [
        Figure("gap to what no allocation can exceed", round(told["gap"], 6), "", goal=0.01, note=asked),
        Figure(
            "worth, beside campaigns that choose one after another by priority",
            round(told["value"] / 1e6, 2),
            "M roubles",
            reference=round(told["queued"] / 1e6, 2),
            goal=1,
            better="higher",
            goal_on="ratio",
        ),
        Figure(
            "1M users × 20 campaigns",
            round(told["seconds"], 1),
            "s",
            reference=round(told["queue_s"], 2),
            goal=120,
            note=f"{told['cpu_s']:.0f} s of one core; the reference is the queue",
        ),
        Figure("users a second", round(USERS / told["seconds"]), "users/s", better="higher"),
        Figure("peak memory", round(told["peak_mb"]), "MB", note=f"{round(told['before_mb'])} of it before allocating"),
    ]


def sample_problem(*, users: int, campaigns: int, seed: int) -> Problem:
    """Users of some means, who like some products; each campaign is about one product and reaches some segments.

    A third of users has no consent in a channel. Scores are quantised, so worths repeat; and some campaigns want the
    same users for the same, which is hard on prices.
    """
    random = np.random.default_rng(seed)
    means = random.normal(0, 0.7, users).astype(np.float32)
    segment = random.integers(0, 24, users)
    agreed = random.random((_CHANNELS, users)) < np.array([[0.8], [0.7], [0.6]])
    channels = np.arange(campaigns) % _CHANNELS
    value = np.exp(random.normal(8, 0.9, _PRODUCTS))
    likes = random.normal(0, 1, (_PRODUCTS, users)).astype(np.float32)
    worth = np.zeros((campaigns, users), np.float32)
    for number in range(campaigns):
        product = number % _PRODUCTS
        logit = np.round((likes[product] + means - 4.5) * 2731) / 2731
        reached = np.isin(segment, random.choice(24, 14, replace=False)) & agreed[channels[number]]
        listed = likes[product] > random.normal(0, 0.3)
        weight = PRIORITIES[number % len(PRIORITIES)]
        worth[number] = np.where(reached & listed, weight * value[product] / (1 + np.exp(-logit)), 0)
    wanted = (worth > 0).sum(axis=1)
    budgets = (wanted * random.choice([0.05, 0.2, 0.5, 2.0], campaigns)).astype(np.int64) + 1
    exclusive = np.zeros((campaigns, campaigns), np.bool_)
    for one, other in random.choice(campaigns, campaigns // 5 * 2, replace=False).reshape(-1, 2):
        exclusive[one, other] = exclusive[other, one] = True
    room = np.where(random.random((_CHANNELS, users)) < 0.3, 2, 1).astype(np.int8)
    return Problem(worth, budgets, channels, room, exclusive)


def queued(problem: Problem) -> float:
    """What it is worth when campaigns choose one after another, by priority: each the best who still have room."""
    chosen = np.zeros(problem.worth.shape, np.bool_)
    for number in np.argsort(-np.resize(PRIORITIES, problem.campaigns), kind="stable"):
        budgets = np.where(np.arange(problem.campaigns) == number, problem.budgets, chosen.sum(axis=1))
        turn = Problem(problem.worth, budgets, problem.channels, problem.room, problem.exclusive)
        fill(turn, np.zeros(problem.campaigns), chosen)
    return problem.worth_of(chosen)


def _measured() -> dict[str, float]:
    problem = sample_problem(users=USERS, campaigns=CAMPAIGNS, seed=7)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started, worked = time.perf_counter(), time.process_time()
    found = allocate(problem)
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    value_queued = queued(problem)
    return {
        "gap": found.gap,
        "value": found.value,
        "queued": value_queued,
        "seconds": seconds,
        "cpu_s": worked,
        "queue_s": time.perf_counter() - started,
        "peak_mb": peak,
        "before_mb": before,
        "pairs": sum(map(len, problem.eligible)),
        "contacts": int(found.chosen.sum()),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measured()))
