"""Program that ranks documents with LangChain's InfinityRerank, in an environment of its own: URL, model, query,
documents as JSON; prints the order and the scores."""

import json
import sys

from infinity_client import Client
from langchain_community.document_compressors.infinity_rerank import InfinityRerank
from langchain_core.documents import Document

url, model, query, *documents = sys.argv[1:]
ranker = InfinityRerank(client=Client(base_url=url), model=model, top_n=len(documents))
found = ranker.compress_documents([Document(text) for text in documents], query)
print(json.dumps([[each.page_content, each.metadata["relevance_score"]] for each in found]))  # noqa: T201 - its output
