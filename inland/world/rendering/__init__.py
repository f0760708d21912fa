"""The towns as pictures: camera, what is drawn, and how."""
