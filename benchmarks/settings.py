"""The product's settings, and one view more: the empty one that the others are compared with."""

from brokerage.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"
