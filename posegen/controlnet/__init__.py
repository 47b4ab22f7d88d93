"""Control maps and prompts: what a model is shown and told of a pose."""
