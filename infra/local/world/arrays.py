"""Short names for the arrays of the generator, the casts that keep their types, and numbers from keys."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SmallInts = npt.NDArray[np.int16]
Bytes = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]


def floats(values: npt.ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float32)


def doubles(values: npt.ArrayLike) -> Doubles:
    return np.asarray(values, dtype=np.float64)


def ints(values: npt.ArrayLike) -> Ints:
    return np.asarray(values, dtype=np.int64)


def small(values: npt.ArrayLike) -> SmallInts:
    return np.asarray(values, dtype=np.int16)


def bools(values: npt.ArrayLike) -> Bools:
    return np.asarray(values, dtype=np.bool_)


def uniforms(*keys: npt.ArrayLike) -> Floats:
    """Random-looking numbers in [0, 1) that depend on the keys only."""
    return ((mix(*keys) >> np.uint64(40)) * np.float64(2**-24)).astype(np.float32)


def mix(*keys: npt.ArrayLike) -> Words:
    """Random-looking 64 bits that depend on the keys only: splitmix64's finaliser, folded over the keys."""
    mixed = np.asarray(0, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            mixed = _finalise(mixed ^ _finalise(np.asarray(key).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)))
    return mixed


def _finalise(value: Words) -> Words:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
