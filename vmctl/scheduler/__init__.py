"""The placement engine: filters, weighers and the choice, all pure."""
