"""Workflows as tables of idempotent steps."""
