"""The models as a service over HTTP: `nlpkit serve`."""
