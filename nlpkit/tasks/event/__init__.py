"""Events with GPLinker and complete subgraphs (kexue.fm 8926)."""
