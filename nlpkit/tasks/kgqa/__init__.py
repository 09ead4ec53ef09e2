"""Questions over a knowledge graph: Seq2Seq constrained by a prefix tree (kexue.fm 8802)."""
