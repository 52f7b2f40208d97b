"""The database: settings, connection, tables and queries. Imports no Dagster."""
