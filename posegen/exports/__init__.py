"""Pictures cut and encoded for each platform."""
