"""Fine-tune neural rankers, evaluate them, and explain what fine-tuning changed."""

__version__ = "0.1.0"
