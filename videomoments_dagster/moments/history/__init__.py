"""`pipeline_history`: Dagster's run records as rows of our own table.

Belongs here: the pure mapping (`run_facts`), reading Dagster's records (`dagster_runs`), and
writing rows (`recording`). Everything that keeps the table current calls `recording`.
"""
