"""The service that people write by themselves: FastAPI, one endpoint, sentence-transformers with its defaults.

    python tests/bench/plain_service.py FOLDER PORT

FOLDER is a sentence-transformers model. `/v1/embeddings` answers as OpenAI's does, with floats.
"""

import sys
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI


def service(folder: str) -> FastAPI:
    """Return the service of a model."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device="cpu")
    app = FastAPI()

    @app.post("/v1/embeddings")
    def embeddings(body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Return the vectors of the texts in `input`."""
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = model.encode(texts).tolist()
        data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
        return {"object": "list", "data": data, "model": "model", "usage": {"prompt_tokens": 0, "total_tokens": 0}}

    return app


if __name__ == "__main__":
    uvicorn.run(service(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")
