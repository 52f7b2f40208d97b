"""Language models behind OpenAI-compatible servers: which there are, and how they are asked.

Belongs here: the registry of models, the protocol, retries, repairs, and what a call costs. Does
not belong here: what is asked and what the answers mean (`moment_finding.language_model`), nor
where answers and logs are kept (`resources`). No Dagster, no SQL.
"""
