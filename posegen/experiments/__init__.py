"""Paired experiments: whether a way of asking for a pose puts the body where the pose says."""
