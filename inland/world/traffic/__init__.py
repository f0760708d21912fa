"""The towns as traffic: roads, lights, who drives and walks there, and the scripted scenarios."""
