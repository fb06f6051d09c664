"""OrderedDocs asked of an LLM: questions, prompts, a server of OpenAI's interface, answers on disk, costs."""
