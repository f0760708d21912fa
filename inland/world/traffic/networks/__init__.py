"""The towns' road networks as shipped data: SUMO ``.net.xml`` files, built by ``build.py`` beside them."""
