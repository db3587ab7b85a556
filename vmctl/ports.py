"""The outside world as the services see it: one Protocol for each port."""
