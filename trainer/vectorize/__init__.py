"""Several seeds of one configuration, trained by one compiled function with a leading seed axis."""
