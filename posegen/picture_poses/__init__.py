"""From a picture of somebody to a pose of a library."""

from posegen.picture_poses.people import FoundPerson
from posegen.picture_poses.picture_pose import PicturePose
from posegen.picture_poses.take import pose_from_picture

__all__ = ["FoundPerson", "PicturePose", "pose_from_picture"]
