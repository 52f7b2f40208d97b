"""`pipeline_history`: Dagster's run records as rows of our own table.

Everything that keeps the table current calls `recording`; what a row says is `history_row`.
"""
