"""Everything that Dagster sees, one concept a file."""
