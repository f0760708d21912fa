"""Log formats, one file each: a log on disk becomes drives."""
