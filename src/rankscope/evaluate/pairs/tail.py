"""How rare a mean over its standard error is, where training seeds make a part of the error.

Satterthwaite's degrees of freedom suit the middle of a distribution. In the tail that a correction over many
comparisons uses, a part of the error that rests on few seeds makes them too bold: with two systems of two seeds
on twelve tests, one family in four held a false finding. There the tail is averaged over what the seeds' variance
may be, given its estimate (the fiducial solution of the Behrens-Fisher problem; Fisher 1935, Weerahandi 1989): exact
where seeds are all of the error or none of it, and conservative between.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rankscope.evaluate.arrays import Floats
from rankscope.evaluate.seeds.seed_error import SeedError

NODES = 32
"""Points of a Gauss-Legendre rule over the chance of a smaller variance, dense where it is small: at a p-value of 1e-5,
critical values are right to 1e-3 with two degrees of freedom, to 1e-2 with one."""
MOST_FREEDOM = 1e9
STEPS = 12
"""Of the secant method, on logarithms, which are nearly straight in the tail."""

_points, _weights = np.polynomial.legendre.leggauss(NODES)
_halves = (_points + 1) / 2
CHANCES: Floats = _halves**6
WEIGHTS: Floats = 3 * _weights * _halves**5


@dataclass(frozen=True)
class Tail:
    """The distributions of means over their standard errors, an entry each."""

    degrees_of_freedom: Floats
    """Satterthwaite's. Where the tail is averaged, p-values do not rest on them."""
    averaged: npt.NDArray[np.intp]
    """The entries whose tail is averaged."""
    scales: Floats
    """(averaged, nodes): the standard error over what it would be."""
    freedoms: Floats
    """(averaged, nodes): of t, the seeds' variance being known."""

    @classmethod
    def of(cls, queries: Floats, queries_freedom: float, seeds: SeedError) -> "Tail":
        """queries: their part of each variance; queries_freedom: that part's degrees of freedom."""
        variance = total(queries, seeds.variance, seeds.spread)
        with np.errstate(divide="ignore", invalid="ignore"):
            satterthwaite = variance**2 / (
                queries**2 / queries_freedom + seeds.spread**2 / seeds.degrees_of_freedom
            )
        counted = (variance > queries) & np.isfinite(queries)
        freedom = np.where(counted, satterthwaite, queries_freedom)
        # also where the noise leaves nothing of the spread: the true one may be larger
        averaged = np.flatnonzero(seeds.is_averaged & np.isfinite(queries))
        part = seeds.at(averaged[:, None])
        by_queries = queries[averaged][:, None]
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            over = special.chdtri(part.degrees_of_freedom, 1 - CHANCES) / part.degrees_of_freedom
            spread = part.spread / over
            possible = total(by_queries, np.maximum(0.0, spread - part.noise), spread)
            scales = np.sqrt(variance[averaged][:, None] / possible)
            freedoms = np.minimum(MOST_FREEDOM, queries_freedom * (possible / by_queries) ** 2)
        return cls(freedom, averaged, scales, np.nan_to_num(freedoms, nan=MOST_FREEDOM))

    def above(self, t: Floats) -> Floats:
        """The chance of a value of t or more."""
        chance = np.asarray(special.stdtr(self.degrees_of_freedom, -t))
        if len(self.averaged):
            chance[self.averaged] = self._averaged(t[self.averaged])
        return chance

    def _averaged(self, t: Floats) -> Floats:
        return np.asarray(special.stdtr(self.freedoms, -t[:, None] * self.scales) @ WEIGHTS)

    def critical(self, level: float) -> Floats:
        """The values above which the chance is the level, which is below one half."""
        t = np.asarray(-special.stdtrit(self.degrees_of_freedom, level))
        if len(self.averaged):
            t[self.averaged] = self._where(np.log(level), np.log(t[self.averaged]))
        return t

    def _where(self, wanted: float, start: Floats) -> Floats:
        """Where the logarithm of the averaged chance is as wanted, from a logarithm of t."""
        before, at = start, start + 0.05
        left = np.log(self._averaged(np.exp(before))) - wanted
        for _ in range(STEPS):
            found = np.log(self._averaged(np.exp(at))) - wanted
            with np.errstate(divide="ignore", invalid="ignore"):
                step = -found * (at - before) / (found - left)
            step = np.where(np.isfinite(step), np.clip(step, -2.0, 2.0), 0.0)
            before, left, at = at, found, at + step
            if np.abs(step).max() < 1e-7:
                break
        return np.exp(at)


def total(queries: Floats, seeds: Floats, spread: Floats) -> Floats:
    """The variance of both parts.

    Where both systems have the queries' noise in common, less of it is in the difference than was taken off the
    seeds' part; so it is never less than what the seeds' means spread.
    """
    return np.asarray(np.maximum(queries + seeds, spread))
