"""Typed adapters between Dagster and the outside: database, object store, scratch, engines.

Belongs here: `ConfigurableResource` classes, thin over the domain folders. Does not belong here:
logic that could be tested without Dagster.
"""
