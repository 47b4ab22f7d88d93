"""How well a picture shows the pose that was asked for."""
