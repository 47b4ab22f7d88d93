"""Poses: the library, the kinematics from joint angles to the body, the camera and the keypoints."""
