"""Runs that people asked for: the queue, its history, and who performs them. Kept in SQLite or PostgreSQL."""
