"""How an LLM is asked: by requests to a server, within a budget, or by batches of them."""
