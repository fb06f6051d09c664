"""How each kind of step is carried out."""
