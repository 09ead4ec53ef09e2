"""The knowledge graph on disk: reading triples, building, looking up."""
