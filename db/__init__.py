"""The database: settings, connections and tables. Imports no Dagster."""
