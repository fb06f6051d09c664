"""What a training stage learns from, and what guards see of it."""
