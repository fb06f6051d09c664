"""Faster forward passes, with the same scores up to rounding; `precision` alone changes them, where somebody asks for it."""
