"""What everything else stands on; imports nothing of the project but the errors of `db`."""
