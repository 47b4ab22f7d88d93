"""Paired experiments: does a way of asking for a pose put the body where the pose says?"""
