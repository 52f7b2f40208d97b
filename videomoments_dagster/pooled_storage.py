"""The name that `dagster.yaml` files of installations hold."""

from videomoments_dagster.core.pooled_storage import PooledPostgresStorage

__all__ = ["PooledPostgresStorage"]
