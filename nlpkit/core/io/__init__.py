"""Files and streams: input, output, folders, artefacts."""
