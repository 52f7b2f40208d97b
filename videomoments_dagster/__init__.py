"""VideoMoments: long videos in, their best moments out, as a Dagster project."""
