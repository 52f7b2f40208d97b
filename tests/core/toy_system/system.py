"""Postcards: a system of two assets, as an example of what a system is."""

import dagster as dg
from core.toy_system.table import Postcard

from videomoments_dagster.core.systems import System

POSTCARDS = System(
    name="postcards",
    partitions=dg.DynamicPartitionsDefinition(name="cities"),
    noun="city",
    key_prefix=("postcards",),
    anchor=Postcard.city,
    object_kinds=("cards",),
    objects_below="postcards/",
    check_job="check_stored_postcards",
)
