"""Whether what DINOv2's one vector draws on lies on the object; see docs/studies/vision.md."""
