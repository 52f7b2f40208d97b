"""The name by which `dagster.yaml` files ask for our storage, also those of old installations."""

from videomoments_dagster.core.dagster_internals import PooledPostgresStorage

__all__ = ["PooledPostgresStorage"]
